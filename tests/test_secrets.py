"""A canary in every place where a secret can be: it must not sing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.load import Loaded, load, load_file
from tests.kinds_for_tests import TEST_KINDS

# A text that cannot be there by accident; the `x` makes the option `pin` refuse it.
CANARY = "x-canary-0123"
HEAD = "stages:\n  talk: {use: tone, duration: 2s}\n"
TAIL = "  out: {use: collect, from: svc}\n"


def svc(options: str, before: str = "") -> str:
    return f"{before}{HEAD}  svc: {{{options}}}\n{TAIL}"


REMOTE = "use: remote, from: talk, url: a"

LITERAL = {
    "flow": svc("use: remote, from: talk, api_key: CANARY, uurl: a, pin: 'CANARY'"),
    "block": f"{HEAD}  svc:\n    use: remote\n    from: talk\n    url: [a]\n    pin: CANARY\n{TAIL}",
    "lines": f"{HEAD}  svc:\n    use: remote\n    from: talk\n    url: a\n    pin: |\n      CANARY\n{TAIL}",
    "list": svc(f"{REMOTE}, pin: [CANARY]"),
    "misspelt": svc(f"{REMOTE}, ppin: CANARY"),
    "no such kind": svc("use: remoote, from: talk, url: a, api_key: CANARY"),
    "no kind": svc("from: talk, url: a, api_key: CANARY"),
    "not a kind": svc("use: [remote], from: talk, url: a, api_key: CANARY"),
    "twice": svc(f"{REMOTE}, pin: '1', pin: CANARY"),
    "twice, the first": svc(f"{REMOTE}, pin: CANARY, pin: '1'"),
    "anchor": svc(f"{REMOTE}, pin: *c", before="x-a: {b: &c CANARY, b: d}\n"),
    "merged": svc(f"{REMOTE}, <<: {{pin: CANARY, odd: 1}}, pin: '1'"),
    "comment": svc("use: remote, from: talk, pin: CANARY").replace("}\n  out", "} # CANARY\n  out"),
    "default": svc(f"{REMOTE}, pin: '${{p}}'", before="params: {p: {secret: true, default: CANARY, odd: 1}}\n"),
    "typed": svc(f"{REMOTE}, pin: '${{p}}'", before="params: {p: {secret: true, default: CANARY, type: int}}\n"),
    "param by its use": svc(f"{REMOTE}, pin: 'a${{p}}'", before="params: {p: CANARY, odd: }\n"),
    "elsewhere": svc(
        f"{REMOTE}, language: '${{p}}', timeout: 'a${{p}}'",
        before="params: {p: {secret: true, default: CANARY}}\n",
    ),
    "default of a variable": svc("use: remote, from: talk, pin: '${env:P:-CANARY}'"),
    "no mapping": "- use: remote\n- api_key: CANARY\n",
    "stages in a list": "stages: [{use: remote, api_key: CANARY}, {use: tone}]\n",
    "broken quote": svc("use: remote, api_key: 'CANARY, from: talk"),
    "broken line": "stages:\n  svc:\n    use: remote\n    api_key: CANARY: x\n",
    "broken below": "stages:\n  svc:\n    api_key: |\n      CANARY\n     CANARY: x\n    b: @\n",
    "refused character": "stages: {svc: {api_key: CANARY, a: \0}}\n",
    "too deep": "stages: {svc: {api_key: CANARY, a: " + "[" * 60 + "}}\n",
    "undefined alias": "stages: {svc: {api_key: CANARY, a: *b}}\n",
    "tag": svc(f"{REMOTE}, pin: !!str CANARY"),
    "top": "api_key: CANARY\n" + svc(f"{REMOTE}"),
}


def sings(loaded: Loaded, canary: str) -> bool:
    problems = "\n".join([*map(str, loaded.problems), repr(loaded.problems)])
    return canary in problems or canary in repr(loaded)


@pytest.mark.parametrize("name", LITERAL)
def test_a_secret_in_the_file_is_not_shown(name: str) -> None:
    loaded = load(LITERAL[name].replace("CANARY", CANARY), "g.yaml", TEST_KINDS, env={})
    assert loaded.problems, "a mistake is needed, else there is nothing to show"
    if name == "elsewhere":
        # The stage was not built, so there is nothing that could show it either.
        assert loaded.graph.nodes["svc"].stage is None
    assert not sings(loaded, CANARY), "\n".join(map(str, loaded.problems))


tokens = st.text("abcXYZ019_-./+=", min_size=6, max_size=20).map(lambda text: f"q{text}z")


@given(st.sampled_from(sorted(LITERAL)), tokens)
def test_no_secret_is_shown_whatever_it_is(name: str, secret: str) -> None:
    loaded = load(LITERAL[name].replace("CANARY", secret), "g.yaml", TEST_KINDS, env={})
    assert not sings(loaded, secret)


@pytest.mark.parametrize("secret", ["language", "remote", "timeout", "any"])
def test_a_secret_that_is_a_word_of_the_format_covers_no_more_than_itself(secret: str) -> None:
    text = svc(f"use: remote, from: talk, url: any-{secret}, pin: {secret}, timeoot: 1")
    (problem,) = load(text, "g.yaml", TEST_KINDS, env={}).problems
    assert problem.where is not None
    covered = "***".ljust(len(secret))
    assert (
        problem.where.text == f"  svc: {{use: remote, from: talk, url: any-{secret}, pin: {covered}, timeoot: 1}}"
    )
    assert "'svc' (remote) has no option 'timeoot'" in problem.what


@pytest.mark.parametrize(
    ("option", "shown"), [("engine", True), ("duration", True), ("auth", False), ("x", False)]
)
def test_an_option_of_another_stage_is_shown_and_one_that_nobody_knows_is_covered(
    option: str, shown: bool
) -> None:
    (problem,) = load(svc(f"{REMOTE}, {option}: {CANARY}"), "g.yaml", TEST_KINDS, env={}).problems
    assert problem.where is not None
    assert (f"{option}: {CANARY}" in problem.where.text) is shown
    assert (f"{option}: ***" in problem.where.text) is not shown


SECRET_REFERENCE = svc(f"{REMOTE}, pin: '${{REF}}'")
PLAIN_REFERENCE = svc(f"{REMOTE}, timeout: 'a${{REF}}'")


def test_a_secret_from_outside_is_not_shown() -> None:
    env = {"P": CANARY, "MY_TOKEN": CANARY}
    text = SECRET_REFERENCE.replace("REF", "env:P")
    assert not sings(load(text, "g.yaml", TEST_KINDS, env=env), CANARY)
    text = PLAIN_REFERENCE.replace("REF", "env:MY_TOKEN")
    loaded = load(text, "g.yaml", TEST_KINDS, env=env)
    assert not sings(loaded, CANARY)
    assert "cannot be ***" in loaded.problems[0].what
    text = "params: {p: }\n" + SECRET_REFERENCE.replace("REF", "p")
    assert not sings(load(text, "g.yaml", TEST_KINDS, env={}, params={"p": CANARY}), CANARY)
    text = "params: {p: {secret: true, type: int}}\n" + SECRET_REFERENCE.replace("REF", "p")
    assert not sings(load(text, "g.yaml", TEST_KINDS, env={}, params={"p": CANARY}), CANARY)
    text = SECRET_REFERENCE.replace("${REF}", "1")
    assert not sings(load(text, "g.yaml", TEST_KINDS, env={}, options={"svc.pin": CANARY}), CANARY)


def test_a_good_secret_reaches_its_stage_and_nobody_else() -> None:
    loaded = load(svc(f"{REMOTE}, api_key: {CANARY}"), "g.yaml", TEST_KINDS, env={})
    assert loaded.ok
    stage = loaded.graph.nodes["svc"].stage
    assert stage is not None
    assert getattr(stage, "api_key", "") == CANARY
    assert not sings(loaded, CANARY)


def test_a_reference_to_a_secret_is_shown_as_it_is_written() -> None:
    text = svc("use: remote, from: talk, pin: '${env:P}'")
    (problem,) = load(text, "g.yaml", TEST_KINDS, env={"P": "1"}).problems
    assert problem.where is not None
    assert "${env:P}" in problem.where.text


def test_a_file_that_is_not_utf8_shows_none(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_bytes(b"api_key: x-canary-0123 \xff\n")
    assert not sings(load_file(path, TEST_KINDS, env={}), CANARY)
