"""The JSON Schema (draft 2020-12) of graph files, from the kinds of stage: editors complete and check by it.

    # yaml-language-server: $schema=dragoman.schema.json

It says less than the check: of ranges, names and what fits onto what it knows nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.load import TOP
from pipeline.loading.forms import or_reference
from pipeline.loading.kinds import Kind, look_up
from pipeline.loading.options import Option, inputs_of
from pipeline.loading.params import SETTINGS
from pipeline.loading.reading import FROM
from pipeline.stage import Kinds

__all__ = ["schema"]

JsonSchema = dict[str, Any]

_REFERENCE: JsonSchema = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "a text with ${param}, ${env:NAME} or ${env:NAME:-default} in it",
}


def schema(kinds: Kinds) -> JsonSchema:
    """The schema of graphs that use `kinds`. A kind that cannot be imported is left out."""
    found = [kind for name in kinds if isinstance(kind := look_up(name, kinds), Kind)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a dragoman graph",
        "type": "object",
        "properties": {
            "name": {"type": ["string", "number"], "description": TOP["name"]},
            "help": {"type": "string", "description": TOP["help"]},
            "description": {"type": "string", "description": TOP["description"]},
            "params": {"type": ["object", "null"], "description": TOP["params"]} | _by_name("param"),
            "stages": {"type": "object", "description": TOP["stages"], "minProperties": 1} | _by_name("stage"),
        },
        "patternProperties": {"^x-": {"description": "for anchors: not read"}},
        "required": ["stages"],
        "additionalProperties": False,
        "$defs": {
            "reference": _REFERENCE,
            "param": _param(),
            "from": _from(),
            "edge": _edge(),
            "stage": _stage(found),
            **{f"stage-{kind.name}": _kind(kind) for kind in found},
        },
    }


def _by_name(definition: str) -> JsonSchema:
    return {
        "additionalProperties": {"$ref": f"#/$defs/{definition}"},
        "propertyNames": {"pattern": "^[A-Za-z0-9_-]+$"},
    }


def _stage(kinds: list[Kind]) -> JsonSchema:
    """What all stages have in common, and from the kind on what its own options are."""
    return {
        "type": "object",
        "properties": {"use": {"enum": [kind.name for kind in kinds], "description": "the kind of stage"}},
        "required": ["use"],
        "allOf": [
            {
                "if": {"properties": {"use": {"const": kind.name}}, "required": ["use"]},
                "then": {"$ref": f"#/$defs/stage-{kind.name}"},
            }
            for kind in kinds
        ],
    }


def _kind(kind: Kind) -> JsonSchema:
    properties: JsonSchema = {"use": {"const": kind.name, "description": kind.about}}
    inputs = inputs_of(kind.make)
    if inputs != {}:
        properties["from"] = {"$ref": "#/$defs/from"}
    properties |= {option.name: _option(option) for option in kind.options.values()}
    needs_input = any(not port.optional for port in (inputs or {}).values())
    required = [option.name for option in kind.options.values() if option.required]
    return {
        "type": "object",
        "description": kind.about,
        "properties": properties,
        "required": ["use", *(["from"] if needs_input else []), *required],
        "additionalProperties": False,
    }


def _option(option: Option) -> JsonSchema:
    told: JsonSchema = {"description": f"{option.help} ({option.wanted})"}
    if option.example is not None:
        told["examples"] = [_json(option.example)]
    if not option.required and not option.secret:
        told["default"] = _json(option.default)
    return told | or_reference(option.form)


def _param() -> JsonSchema:
    settings = {name: form.schema() for name, form in SETTINGS.items()}
    return {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"], "description": "the default"},
            {"type": "object", "properties": settings, "additionalProperties": False},
        ]
    }


def _edge() -> JsonSchema:
    described = {name: or_reference(form) | {"description": form.wanted} for name, form in FROM.items()}
    return {"type": "object", "properties": described, "required": ["stage"], "additionalProperties": False}


def _from() -> JsonSchema:
    one: list[JsonSchema] = [or_reference(FROM["stage"]), {"$ref": "#/$defs/edge"}]
    return {
        "description": "what the stage reads: `stage`, `stage.port`, {stage: ..., into: ...}, or a list of those",
        "anyOf": [*one, {"type": "array", "items": {"anyOf": one}}],
    }


def _json(value: object) -> object:
    """`value` as JSON has it; what JSON does not have, as a text."""
    if isinstance(value, Mapping):
        return {str(key): _json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
