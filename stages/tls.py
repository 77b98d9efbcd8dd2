"""Encryption for who listens on the network."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["server_context"]


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Encrypt with `certificate` (PEM), whose private key is in the same file unless `key` names another.

    Raises: ValueError, in one line, where there is no certificate with its key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password="")  # one that is encrypted is refused: nobody is asked
    except (OSError, ValueError) as wrong:
        also = f" and {key}" if key else ""
        raise ValueError(f"no certificate with its key in {certificate}{also}: {wrong}") from None
    return context
