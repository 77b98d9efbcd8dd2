from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.loading.page import Findings, Page
from pipeline.loading.schema import schema
from pipeline.loading.yaml_nodes import Scalar, Series, Table, Yaml, compose
from stages import KINDS
from tests.kinds_for_tests import TEST_KINDS

GRAPHS = Path(__file__).parent / "graphs"
SHIPPED = sorted((Path(__file__).parents[1] / "graphs").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    made = schema(TEST_KINDS)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def as_editors_read_it(node: Yaml) -> Any:
    """The data that an editor checks: plain scalars typed as YAML 1.2's core schema says."""
    if isinstance(node, Table):
        return {entry.key.text: as_editors_read_it(entry.value) for entry in node.entries}
    if isinstance(node, Series):
        return [as_editors_read_it(each) for each in node.nodes]
    assert isinstance(node, Scalar)
    return _scalar(node.text) if node.plain else node.text


def _scalar(text: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    return text


def data(path: Path) -> Any:
    node = compose(Findings(Page(str(path), path.read_text(encoding="utf-8"))))
    return None if node is None else as_editors_read_it(node)


@pytest.mark.parametrize("path", [*sorted((GRAPHS / "good").glob("*.yaml"))], ids=lambda path: path.stem)
def test_good_graphs_are_valid(validator: Draft202012Validator, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(data(path))] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_graphs_are_valid(path: Path) -> None:
    validator = Draft202012Validator(schema(KINDS))
    assert [error.message for error in validator.iter_errors(data(path))] == []


# What an editor can see without knowing names, ranges, texts or what fits onto what.
SEEN = [
    "bool-number", "bool-yes", "choice", "duration-unit", "float-comma", "from-buffer", "from-key",
    "from-list-in-list", "from-missing", "from-no-stage", "from-nothing", "from-source", "from-when-full",
    "int-text", "kind-not-for-yaml", "kind-reference", "kind-unknown", "list-at-top", "list-element",
    "list-for-text", "mapping-for-number", "name-list", "option-misspelt", "option-missing", "option-nothing",
    "option-unknown", "param-list", "param-name", "param-setting", "param-type", "params-list",
    "secret-misspelt", "stage-name-dot", "stage-name-slash", "stage-name-space", "stage-nothing", "stage-text",
    "stages-empty", "stages-list", "stages-nothing", "text-at-top", "text-for-list", "no-stages",
    "top-key-misspelt", "top-key-unknown", "use-list", "use-misspelt", "use-missing", "no-space-after-colon",
]  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_an_editor_sees_what_can_be_seen(validator: Draft202012Validator, name: str) -> None:
    assert not validator.is_valid(data(GRAPHS / "bad" / f"{name}.yaml"))


def test_each_option_is_described() -> None:
    made = schema(TEST_KINDS)
    gain = made["$defs"]["stage-gain"]
    assert gain["required"] == ["use", "from", "db"]
    assert gain["additionalProperties"] is False
    assert gain["properties"]["db"]["examples"] == [-6]
    assert gain["properties"]["db"]["description"].startswith("decibels")
    remote = made["$defs"]["stage-remote"]["properties"]
    assert remote["language"]["anyOf"][0] == {"enum": ["en", "no", "pt-br"]}
    assert remote["timeout"]["default"] == 10
    assert "default" not in remote["api_key"]
    assert "from" not in made["$defs"]["stage-tone"]["properties"]
    assert made["$defs"]["stage-mix"]["properties"]["from"] == {"$ref": "#/$defs/from"}


def test_it_is_json_and_leaves_out_what_cannot_be_built() -> None:
    made = json.loads(json.dumps(schema(TEST_KINDS), allow_nan=False))
    assert "playlist" not in made["$defs"]["stage"]["properties"]["use"]["enum"]
    assert {"file", "wav", "typed"} <= set(made["$defs"]["stage"]["properties"]["use"]["enum"])
