"""Texts that are out to break a reader of YAML: by depth, by number, by growth, by odd characters."""

from __future__ import annotations

from collections.abc import Mapping

GOOD = "stages: {talk: {use: tone, duration: 1s}, out: {use: collect, from: talk}}\n"


def _doubling(line: str, first: str, levels: int = 40) -> str:
    lines = [f"x-0: &a0 {first}"]
    lines += [f"x-{n}: &a{n} " + line.format(n - 1) for n in range(1, levels)]
    return "\n".join(lines) + "\n" + GOOD


def _stage(options: str) -> str:
    return f"stages:\n  talk: {{use: typed, {options}}}\n  out: {{use: collect, from: talk}}\n"


def _stages(number: int, line: str) -> str:
    return "stages:\n" + "".join(f"  s{n}: {line.format(n, n - 1)}\n" for n in range(number))


HOSTILE: Mapping[str, str] = {
    "digits": _stage(f"whole: {'9' * 5000}"),
    "digits of a float": _stage(f"number: {'9' * 5000}"),
    "digits of a time": _stage(f"time: {'9' * 5000}s"),
    "digits of a clock": _stage(f"time: {'9' * 400}:00:00"),
    "exponent": _stage("number: 1e9999"),
    "no date": _stage("whole: 2001-13-45"),
    "brackets": "[" * 500,
    "more brackets": "[" * 100_000,
    "braces": "{" * 100_000,
    "braces and keys": "{a: " * 60_000,
    "brackets closed": "x-a: " + "[" * 60 + "]" * 60 + "\n" + GOOD,
    "dashes": "- " * 100_000,
    "question marks": "? " * 100_000,
    "deeper lines": "".join(" " * n + "a:\n" for n in range(600)),
    "alias bomb": _doubling("[*a{0}, *a{0}, *a{0}, *a{0}, *a{0}]", "[boom, boom, boom]"),
    "merge bomb": _doubling("{{<<: [*a{0}, *a{0}], k: v}}", "{a: b, c: d}"),
    "merge bomb of keys": "x-a: &a {" + ", ".join(f"k{n}: v" for n in range(2000)) + "}\n"
    "x-b: {<<: [" + ", ".join(["*a"] * 2000) + "]}\n" + GOOD,
    "alias of itself": "x-a: &a [*a]\n" + GOOD,
    "merge of itself": "x-a: &a {<<: *a}\n" + GOOD,
    "many aliases": "x-a: &a a\nx-b: [" + "*a, " * 40_000 + "]\n" + GOOD,
    "many anchors": "x-b: [" + "&a a, " * 30_000 + "]\n" + GOOD,
    "many nodes": "x-b: [" + "a," * 100_000 + "]\n" + GOOD,
    "too long": "# " + "x" * 1_000_000 + "\n" + GOOD,
    "much too long": "# " + "x" * 20_000_000,
    "long line": "help: " + "x" * 200_000 + "\n" + GOOD,
    "long lines of text": "help:\n" + "  x\n" * 60_000 + GOOD,
    "long key": "x" * 200_000 + ": a\n" + GOOD,
    "long names": f"stages: {{{'x' * 900}: {{use: tone, duration: 1s}}, {'x' * 901}: {{use: live}}}}",
    "long name": f"stages: {{{'x' * 900}: {{use: tone}}}}",
    "empty lines": "\n" * 200_000 + GOOD,
    "comments": "#\n" * 100_000 + GOOD,
    "spaces": " " * 200_000,
    "tabs": "\t" * 200_000,
    "colons": ": " * 100_000,
    "bare colons": ":" * 100_000,
    "quotes": "'" * 100_000,
    "quotes open": '"' + "x" * 200_000,
    "escapes": 'help: "' + "\\n" * 100_000 + '"\n' + GOOD,
    "bad escape": 'help: "\\UFFFFFFFF"\n' + GOOD,
    "surrogate": 'help: "\\uD800"\n' + GOOD,
    "tags": "!" * 100_000,
    "many tags": "x-a: [" + "!a b, " * 20_000 + "]\n" + GOOD,
    "percent tag": "x-a: !%FF%FF a\n" + GOOD,
    "python tag": "x-a: !!python/object/apply:os.system ['echo']\n" + GOOD,
    "binary tag": "x-a: !!binary aGk=\n" + GOOD,
    "directive": f"%YAML {'9' * 5000}.1\n---\n" + GOOD,
    "directives": "%X a\n" * 20_000 + "---\n" + GOOD,
    "documents": "---\n" * 50_000,
    "doubles": "stages: {" + "a: b, " * 19_000 + "}",
    "unknown keys": "".join(f"key{n}: a\n" for n in range(9_000)),
    "unknown options": _stage(", ".join(f"wholle{n}: 1" for n in range(9_000))),
    "many stages": _stages(6_000, "{{use: gain, from: s{1}, db: 0}}"),
    "many circles": _stages(400, "{{use: gain, from: s{0}, db: 0}}"),
    "one circle": _stages(400, "{{use: gain, from: s{1}, db: 0}}").replace("s-1", "s399"),
    "many unknown": _stages(400, "{{use: gain, from: t{1}, db: 0}}"),
    "many misspelt": _stages(400, "{{use: gian, from: s{1}x, db: 0}}"),
    "many reads": "stages:\n  out: {use: collect, from: [" + "tlak, " * 15_000 + "]}\n  talk: {use: typed}\n",
    "many good reads": "stages:\n  out: {use: collect, from: [" + "talk, " * 15_000 + "]}\n  talk: {use: typed}\n",
    "many texts": _stage("texts: [" + "a, " * 15_000 + "]"),
    "many params": "params: {" + ", ".join(f"p{n}: a" for n in range(9_000)) + "}\n" + GOOD,
    "references": _stage("texts: [" + "${nothing}, " * 15_000 + "]"),
    "long default": f"params: {{a: {'x' * 100_000}}}\n" + _stage("texts: [" + "${a}, " * 9_000 + "]"),
    "references in one": f"params: {{a: {'x' * 1000}}}\n" + _stage("text: " + "${a}" * 40_000),
    "open references": "help: " + "${" * 100_000 + "\n" + GOOD,
    "braces in braces": _stage("text: " + "${env:" * 40_000),
    "dollars": _stage("text: " + "$" * 200_000),
    "secret keys": "key" * 80_000,
    "many secrets": "x-secret: [" + ", ".join(f"secret{n}" for n in range(15_000)) + "]\n" + GOOD,
    "many pins": "stages:\n  svc: {use: remote, url: a, from: svc, pin: [" + "pinned, " * 15_000 + "]}\n",
    "suspects": "api_key: a\n" * 9_000 + "  b: [",
    "nul": "help: a\0b\n" + GOOD,
    "escape character": "help: a\x1b[31mb\n" + GOOD,
    "line separator": "help: a\u2028b\n" + GOOD,
    "next line": "help: a\x85b\n" + GOOD,
    "private characters": "help: \U0010ff7b\n" + GOOD,
    "byte order mark inside": "help: a\ufeffb\n" + GOOD,
    "lone surrogate": "help: a\ud800b\n" + GOOD,
    "carriage returns": "\r" * 100_000 + "[",
}
