"""What a browser gets of a room over HTTP, and what whoever tries other paths gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serve.listener import PATH
from stages.room.pages import ASSETS, Place, answer, is_name, place_of
from tests.room_people import ROOM, room
from tests.serve_server import http

ROOMS = ["sunday-1a2b", "other"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/r/sunday-1a2b", Place("sunday-1a2b", "listen", socket=False)),
        ("/r/sunday-1a2b/", Place("sunday-1a2b", "listen", socket=False)),
        ("/r/sunday-1a2b/speak", Place("sunday-1a2b", "speak", socket=False)),
        ("/r/other/watch", Place("other", "watch", socket=False)),
        ("/r/other/listen-socket", Place("other", "listen", socket=True)),
        ("/r/other/speak-socket", Place("other", "speak", socket=True)),
        ("/r/other/watch-socket", Place("other", "watch", socket=True)),
        ("/r/sunday", None),
        ("/r/SUNDAY-1A2B", None),
        ("/r/", None),
        ("/r", None),
        ("/", None),
        ("/x/other", None),
        ("/r/other/listen", None),
        ("/r/other/speak/more", None),
        ("/r//other", None),
        ("/r/../r/other", None),
        ("/r/oth%65r", None),
    ],
)
def test_where_a_rooms_pages_lie(path: str, place: Place | None) -> None:
    assert place_of(path, ROOMS) == place


@given(st.text())
def test_any_other_path_is_nothing_and_nothing_of_it_comes_back(path: str) -> None:
    found = answer(f"/r/{path}", ["a-room-that-nobody-guesses"])
    assert found is not None
    assert found.status == 404
    assert found == answer("/r/", [])
    assert answer(ASSETS + path, []) in (found, answer(ASSETS + path, ["x"]))


@pytest.mark.parametrize(
    "name",
    ["../pages.py", "..%2fpages.py", "/etc/passwd", "", ".", "page", "listen.html", "__init__.py", "LISTEN.JS"],
)
def test_only_the_files_of_the_table_are_assets(name: str) -> None:
    found = answer(ASSETS + name, ROOMS)
    assert found is not None
    assert found.status == 404


def test_pages_and_assets_have_their_kind_and_the_headers_that_guard_them() -> None:
    kinds = {"/r/other": "text/html", f"{ASSETS}listen.js": "text/javascript", f"{ASSETS}base.css": "text/css"}
    for path, kind in kinds.items():
        found = answer(path, ROOMS)
        assert found is not None
        assert (found.status, found.content_type) == (200, f"{kind}; charset=utf-8")
        assert found.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.headers["Referrer-Policy"] == "no-referrer"
        assert found.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in str(found.headers)
    assert answer("/r/other/listen-socket", ROOMS) is None


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("sunday", True),
        ("a-1", True),
        ("", False),
        ("-", False),
        ("Sunday", False),
        ("a b", False),
        ("a/b", False),
        ("é", False),
        ("²", False),
        ("a" * 81, False),
    ],
)
def test_a_name_is_the_same_in_every_url(name: str, fine: bool) -> None:
    assert is_name(name) is fine


@pytest.mark.anyio
async def test_the_pages_lie_beside_the_protocol() -> None:
    async with room() as running:
        for path, status in ((ROOM, 200), (f"{ROOM}/speak?key=x", 200), ("/r/another", 404), ("/", 404)):
            assert (await http(running, f"GET {path}"))[0] == status
        assert (await http(running, f"GET {PATH}"))[0] == 426
        assert (await http(running, f"GET {ROOM}/listen-socket"))[0] == 426
        assert (await http(running, "GET /healthz"))[0] == 200
        assert (await http(running, "GET /v1/other"))[0] == 404
