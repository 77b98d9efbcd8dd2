"""Who may use the server: API keys from a file, compared so that time tells nothing about them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

__all__ = ["Keys", "read_keys"]


@frozen
class Keys:
    """Names by the SHA-256 of their keys. The keys themselves are not kept."""

    names: Mapping[bytes, str]

    @classmethod
    def of(cls, names: Mapping[str, str]) -> Keys:
        """From names by their keys as they are."""
        return cls({_digest(key): name for key, name in names.items()})

    def name_of(self, presented: str | None) -> str | None:
        """Whose key `presented` is, or None. Every key is compared, and all digests are of one length."""
        digest = _digest(presented or "")
        found = None
        for known, name in self.names.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def __repr__(self) -> str:
        return f"<{len(self.names)} keys>"


def read_keys(path: Path) -> Keys:
    """The keys in `path`: one a line, or `name:key`; empty lines and those that begin with # do not count.

    Raises: ValueError with the line's number, never the key, for a key that is empty or there twice, and for a
    file without any; OSError where it cannot be read.
    """
    names: dict[bytes, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, key = line.strip().partition(":")
        name, key = (name.strip(), key.strip()) if colon else (f"line {number}", name)
        if not key or not name:
            raise ValueError(f"{path}:{number}: wanted `key` or `name:key`")
        if (digest := _digest(key)) in names:
            raise ValueError(f"{path}:{number}: this key is that of {names[digest]!r} already")
        names[digest] = name
    if not names:
        raise ValueError(f"{path}: wanted an API key a line, came none")
    return Keys(names)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
