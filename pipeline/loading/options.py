"""What can be set on a stage in YAML, read off its class: names, types, defaults, help. And back to YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import attrs
from attrs import frozen

from pipeline.caps import Port
from pipeline.loading.forms import Form, form_of
from pipeline.loading.page import SECRET

__all__ = ["Option", "example", "inputs_of", "options_of", "render"]


@frozen
class Option:
    """One option of a kind of stage: the arguments of `stage.option`, with the type's form.

    `check` answers what was wanted where a value of the right type will not do, else None.
    """

    name: str
    form: Form
    help: str
    required: bool
    default: Any
    secret: bool
    example: Any
    opens: str | None
    check: Any

    @property
    def wanted(self) -> str:
        """What it takes, such as `a whole number`."""
        return self.form.wanted

    @property
    def default_text(self) -> str:
        """The default as YAML; empty where one must be given."""
        if self.required:
            return ""
        return SECRET if self.secret and self.default else render(self.default)

    @property
    def example_text(self) -> str:
        """An example as YAML: the declared one, else the default."""
        if self.example is not None:
            return render(self.example)
        return self.default_text or self.name.upper()


def options_of(kind: type[Any]) -> Mapping[str, Option]:
    """The options of a stage's class, in the order of its declaration.

    Raises: TypeError, saying what is wrong with the class, where it cannot be built from YAML.
    """
    if not attrs.has(kind):
        raise TypeError("it is no attrs class")
    try:
        hints = get_type_hints(kind)
    except NameError as unknown:
        raise TypeError(f"its annotations cannot be resolved: {unknown}") from unknown
    options = {}
    for attribute in attrs.fields(kind):
        if attribute.init and "help" in attribute.metadata:
            options[attribute.name] = _option(attribute, hints[attribute.name])
        elif attribute.init and attribute.default is attrs.NOTHING:
            raise TypeError(f"its field {attribute.name!r} must be given, and is no option")
    return options


def _option(attribute: attrs.Attribute[Any], hint: Any) -> Option:
    try:
        form = form_of(hint)
    except TypeError as wrong:
        raise TypeError(f"its option {attribute.name!r}: {wrong}") from wrong
    told = attribute.metadata
    return Option(
        name=attribute.name,
        form=form,
        help=told["help"],
        required=attribute.default is attrs.NOTHING,
        default=_default(attribute.default),
        secret=told["secret"],
        example=told["example"],
        opens=told["opens"],
        check=told["check"],
    )


def _default(default: Any) -> Any:
    # `attrs.Factory` is typed as a function, yet what is kept is an instance of its class.
    factory = getattr(default, "factory", None)
    return factory() if factory is not None and not default.takes_self else default


def inputs_of(kind: type[Any]) -> Mapping[str, Port] | None:
    """The input ports of a stage's class; None where only an instance can tell."""
    accepts = getattr(kind, "accepts", None)
    return accepts if isinstance(accepts, Mapping) else None


# --- back to YAML

_BARE = re.compile(r"[A-Za-z0-9_./+][\w./+@-]*(?: [\w./+@(-][\w./+@()-]*)*")
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def render(value: object) -> str:
    """`value` as YAML on one line, as a person would write it in a mapping `{...}`.

    >>> render(["en-us", "no", 3, None, True])
    "[en-us, 'no', 3, null, true]"
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(render(each) for each in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{render(key)}: {render(each)}' for key, each in value.items())}}}"
    return _render_text(str(value) if isinstance(value, str | Path) else repr(value))


def _render_text(text: str) -> str:
    if _BARE.fullmatch(text) and text.isascii() and text.lower() not in _WORDS:
        return text
    if text.isprintable() and text.isascii():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=False)


def example(name: str, kind: type[Any], reads: str = "STAGE") -> str:
    """A line of YAML that uses `kind`, with a value for each option that needs one or has an example.

    Raises: TypeError as `options_of`.
    """
    shown = [f"use: {name}", *([f"from: {reads}"] if inputs_of(kind) != {} else [])]
    told = [each for each in options_of(kind).values() if each.required or each.example is not None]
    shown += [f"{each.name}: {each.example_text}" for each in told]
    return f"{{{', '.join(shown)}}}"
