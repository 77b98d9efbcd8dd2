from __future__ import annotations

import socket
import ssl
import traceback

import anyio
import anyio.to_thread
import pytest
import trustme

from stages.posting.http import NoAnswer, Target, check_address, post
from tests.caption_service import CANARY, caption_service

pytestmark = pytest.mark.anyio

SOON_S = 10.0


async def said(target: Target, timeout_s: float = SOON_S) -> str:
    """What is said of a post that gets no answer; the address is nowhere in it, nor in its traceback."""
    with anyio.fail_after(SOON_S), pytest.raises(NoAnswer) as caught:
        await post(target, ["seq=1"], b"x", timeout_s)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(caught.value.__context__)
    return str(caught.value)


async def test_a_post_and_its_answer() -> None:
    with caption_service(200, 404) as service:
        answer = await post(Target(service.address), ["seq=7"], "Olá".encode(), SOON_S)
        assert (answer.status, answer.body) == (200, b"2012-12-24T00:00:06.873\n")
        wrong = await post(Target(service.address), ["seq=8"], b"x", SOON_S)
        assert wrong.status == 404
        assert CANARY not in repr(wrong)
    received = service.received[0]
    assert received.path == f"/closedcaption?cid={CANARY}&sparams=id%2Cns&seq=7"
    assert received.body == "Olá"
    assert "content-type: text/plain; charset=utf-8" in received.headers.lower()


async def test_silence_has_an_end() -> None:
    for how in ("hang", "trickle"):
        with caption_service(how) as service:
            assert await said(Target(service.address), 0.5) == (
                f"http://localhost:{service.port} did not answer within 0.5 s"
            )


async def test_who_is_cancelled_leaves_no_thread_behind() -> None:
    """The service's own threads end only when the connection is cut: it asserts that they do."""
    with caption_service("hang") as service, anyio.fail_after(SOON_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, Target(service.address), ["seq=1"], b"x", 60.0)
            assert await anyio.to_thread.run_sync(service.came.wait, SOON_S)
            tasks.cancel_scope.cancel()


async def test_what_is_no_http() -> None:
    with caption_service("garbage", "close") as service:
        assert await said(Target(service.address)) == (
            f"cannot post to http://localhost:{service.port}: what it answers is not HTTP"
        )
        assert (await said(Target(service.address))).endswith("it closed the connection without an answer")


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (await said(Target(f"http://127.0.0.1:{port}/?cid={CANARY}"))).endswith("connection refused")
    assert "cannot post to http://no.such.host.invalid:" in await said(
        Target(f"http://no.such.host.invalid/?cid={CANARY}")
    )


async def test_certificates_are_checked() -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("localhost").configure_cert(theirs)
    with caption_service(tls=theirs) as service:
        assert (await post(Target(service.address, ours), ["seq=1"], b"x", SOON_S)).status == 200
        assert "its certificate is not trusted: " in await said(Target(service.address))
    with caption_service() as service:
        wrong = Target(service.address.replace("http:", "https:"))
        assert (await said(wrong)).endswith("TLS failed")


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with caption_service(307) as service, caption_service() as elsewhere:
        service.location = elsewhere.address
        assert (await post(Target(service.address), ["seq=1"], b"x", SOON_S)).status == 307
        assert not elsewhere.received


def test_what_is_added_replaces_what_was_copied() -> None:
    target = Target(f"https://here:444/a%2Fb?seq=3&id=1&ns=GZHkEA==&lang=de-DE&signature={CANARY}")
    assert target.resource(["seq=1"]) == f"/a%2Fb?id=1&ns=GZHkEA==&signature={CANARY}&seq=1"
    assert Target("https://here").resource(["seq=1"]) == "/?seq=1"
    assert target.place == "https://here:444"
    assert CANARY not in repr(target)


@pytest.mark.parametrize(
    "address",
    ["", "here", "ftp://here/", "https://", "https:///x", "https://here:0/", "https://here:99999/", "https://a b/",
     "https://here/a b", "https://here/\nx", "https://me:pw@here/", "https://here/#x", "https://h\u00e9re/", "https://["],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    assert "`dragoman list post_captions` says where" in str(check_address(address))


def test_what_is_an_address() -> None:
    assert check_address(" https://upload.youtube.com/closedcaption?cid=abcd \n") is None
    assert check_address("http://[::1]:8080/closedcaption?id=1&ns=GZHkEA==") is None
