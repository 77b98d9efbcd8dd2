"""The realtime protocol with no socket: round trips, state, and whatever a hostile peer may send."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.translate.realtime.codec import (
    APPEND_LIMIT_BYTES,
    MESSAGE_LIMIT_BYTES,
    PARSERS,
    dump_client,
    dump_server,
    parse_client,
    parse_server,
)
from stages.translate.realtime.events import (
    Acknowledge,
    Append,
    AudioDelta,
    AudioDone,
    Closed,
    ErrorEvent,
    IgnoreForDetection,
    LocalProtocolError,
    Payload,
    RemoteProtocolError,
    Resume,
    Resumption,
    ServerEventType,
    SessionConfig,
    SessionCreated,
    SessionStarting,
    SessionUpdate,
    SessionUpdated,
    SourceLanguageChanged,
    SwitchConfirmationRequested,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)
from stages.translate.realtime.protocol import ClientProtocol, ServerProtocol

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CONFIGS = st.builds(
    SessionConfig,
    source_language=TEXT,
    target_language=TEXT,
    output_modalities=st.lists(st.sampled_from(["text", "audio"])).map(tuple),
    mode=st.sampled_from(["fast", "slow"]),
    voice_id=st.none() | st.integers(0, 1 << 40),
    speaker_setup=st.none() | TEXT,
    source_language_candidates=st.lists(TEXT, max_size=3).map(tuple),
)
POSITION = st.none() | st.integers(0, 1 << 50)
PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    st.builds(SessionStarting),
    st.builds(SessionCreated, TEXT, CONFIGS, st.none() | st.builds(Resumption, TEXT, POSITION)),
    st.builds(SessionUpdated, session=CONFIGS),
    st.builds(TranscriptDelta, TEXT),
    st.builds(TranscriptCompleted, TEXT, st.none() | TEXT, st.none() | TEXT, st.booleans(), POSITION, POSITION),
    st.builds(TextDelta, TEXT),
    st.builds(TextDone, TEXT, POSITION, POSITION),
    st.builds(AudioDelta, st.binary(max_size=40).map(lambda data: data + data)),
    st.builds(AudioDone),
    st.builds(SourceLanguageChanged, TEXT, st.none() | TEXT),
    st.builds(SwitchConfirmationRequested, TEXT),
    st.builds(ErrorEvent, TEXT, TEXT.filter(bool), TEXT.filter(bool), st.none() | TEXT),
)
CONFIG = SessionConfig("en-us", "pt-br")


@given(PAYLOADS)
def test_what_a_server_sends_a_client_reads(payload: Payload) -> None:
    assert parse_server(dump_server(payload)).payload == payload


@given(
    st.one_of(
        st.builds(Append, st.binary(max_size=99)),
        st.builds(IgnoreForDetection, TEXT),
        st.builds(Acknowledge, st.integers(0, 1 << 50)),
    )
)
def test_what_a_client_sends_a_server_reads(message: Any) -> None:
    assert parse_client(dump_client(message)) == message


@given(CONFIGS, st.none() | TEXT, st.none() | st.builds(Resume, TEXT, st.integers(0, 1 << 50)))
def test_the_first_message_carries_the_whole_configuration(
    config: SessionConfig, key: str | None, resume: Resume | None
) -> None:
    opening = SessionUpdate(opening=config, api_key=key, resume=resume)
    assert parse_client(dump_client(opening), opening=True) == opening


@pytest.mark.parametrize("wish", ["null", "3", "{}", '{"token": 3, "events": 0}', '{"token": "t", "events": -1}'])
def test_what_another_means_by_resume_is_no_resumption(wish: str) -> None:
    session = '"session": {"source_language": "a", "target_language": "b"}'
    opening = parse_client(f'{{"type": "session.update", {session}, "resume": {wish}}}', opening=True)
    assert opening == SessionUpdate(opening=SessionConfig("a", "b"))
    created = parse_server(f'{{"type": "session.created", {session}, "resume": {wish}}}').payload
    assert isinstance(created, SessionCreated)
    assert created.resume == (Resumption("t") if '"t"' in wish else None)


def test_a_client_asks_for_a_lost_session_only_where_it_can_go_on() -> None:
    client = ClientProtocol(CONFIG)
    client.open("k")
    client.receive(dump_server(SessionCreated("s", CONFIG)))
    client.receive(dump_server(TextDelta("a")))
    assert client.acknowledge() is client.lost() is None, "another's server offers nothing, and is told nothing"
    client = ClientProtocol(CONFIG)
    client.open("k")
    client.receive(dump_server(SessionCreated("s", CONFIG, Resumption("t"))))
    assert client.lost() is None, "the server does not know yet that it will come back"
    assert client.acknowledge() == '{"type":"session.acknowledge","events":0}'
    for payload in (SessionUpdated(CONFIG), TextDelta("a"), ErrorEvent("e", "c"), AudioDelta(b""), AudioDone()):
        client.receive(dump_server(payload))
    assert client.acknowledge() == '{"type":"session.acknowledge","events":3}'
    assert client.acknowledge() is None
    again = ClientProtocol(CONFIG, client.lost())
    assert '"resume": {"token": "t", "events": 3}' in again.open("k")
    again.receive(dump_server(SessionCreated("s", CONFIG, Resumption("t", 480))))
    again.receive(dump_server(TextDelta("b")))
    assert again.lost() == Resume("t", 4)
    other = ClientProtocol(CONFIG, client.lost())
    other.receive(dump_server(SessionCreated("s", CONFIG, Resumption("u"))))
    assert (other.lost(), other.told) == (None, 0)


def test_every_event_of_the_enum_but_the_made_up_one_has_a_parser() -> None:
    assert set(PARSERS) == set(ServerEventType) - {ServerEventType.CLOSED}


def test_a_key_does_not_show() -> None:
    assert "k-canary" not in repr(SessionUpdate(opening=CONFIG, api_key="k-canary"))


def test_audio_is_taken_as_json_too_under_either_name() -> None:
    for name in ("delta", "audio"):
        event = parse_server(json.dumps({"type": "response.audio.delta", name: "AAABAAIA"}))
        assert event.payload == AudioDelta(b"\0\0\1\0\2\0")


def test_an_unknown_event_arrives_raw() -> None:
    event = parse_server('{"type": "response.smell.delta", "delta": 3}')
    assert (event.type, event.payload) == ("response.smell.delta", {"type": "response.smell.delta", "delta": 3})
    assert parse_server('{"hello": 1}').payload == {"hello": 1}
    assert parse_server('{"type": "Closed", "code": 1}').type == "Closed"
    assert isinstance(parse_server('{"type": "Closed", "code": 1}').payload, dict)


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"type": "response.text.done", "text": NaN}', "invalid_json", None),
        ('{"a": ' + "9" * 5000 + "}", "invalid_json", None),
        ("3", "invalid_message", None),
        ('{"type": "response.text.done"}', "missing_field", "text"),
        ('{"type": "response.text.delta", "delta": 3}', "invalid_type", "delta"),
        ('{"type": "session.created", "session": []}', "invalid_type", "session"),
        ('{"type": "session.created", "session": {"id": "s", "mode": 3}}', "invalid_type", "session.mode"),
        ('{"type": "response.audio.delta", "delta": "?"}', "invalid_audio", "delta"),
        ('{"type": "' + "x" * MESSAGE_LIMIT_BYTES + '"}', "message_too_large", None),
    ],
)
def test_what_cannot_be_read_becomes_an_error_event(frame: str, code: str, param: str | None) -> None:
    event = parse_server(frame)
    assert isinstance(event.payload, ErrorEvent)
    assert (event.type, event.payload.code, event.payload.param) == (ServerEventType.ERROR, code, param)


def test_an_error_shows_something_whatever_it_looks_like() -> None:
    for raw, message in (
        ('"no credit"', "no credit"),
        ("7", "unknown error"),
        ('{"message": 7, "code": 401}', "7"),
    ):
        event = parse_server(f'{{"type": "error", "error": {raw}}}')
        assert isinstance(event.payload, ErrorEvent)
        assert event.payload.message == message


def test_half_a_surrogate_pair_does_not_get_through() -> None:
    event = parse_server('{"type": "response.text.delta", "delta": "a\\ud800b"}')
    assert event.payload == TextDelta("a�b")


@pytest.mark.parametrize(
    ("frame", "opening", "code", "param"),
    [
        ('{"type": "input_audio_buffer.append", "audio": ""}', True, "session_not_started", "type"),
        ('{"type": "session.update", "session": {}}', True, "missing_field", "session.source_language"),
        ('{"type": "session.update", "session": {}}', False, "missing_field", "session"),
        ('{"type": "response.create"}', False, "unknown_message", "type"),
        ('{"audio": ""}', False, "missing_field", "type"),
        ('{"type": "input_audio_buffer.append", "audio": "%%"}', False, "invalid_audio", "audio"),
    ],
)
def test_a_client_is_told_what_was_wrong(frame: str, opening: bool, code: str, param: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_client(frame, opening=opening)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_too_large_an_append_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="at most 262144 bytes"):
        parse_client(dump_client(Append(bytes(APPEND_LIMIT_BYTES + 2))))


APPENDS = [
    '{"type": "input_audio_buffer.append", "audio": "AAABAAIA"}',
    '{"type":"input_audio_buffer.append","audio":"AAABAAI="}',
]


def answer_to(frame: str, read: Callable[[str], object]) -> object:
    """The message in `frame`, or the code and the field of what is wrong."""
    try:
        return read(frame)
    except RemoteProtocolError as wrong:
        return wrong.code, wrong.param


@given(st.sampled_from(APPENDS), st.randoms(use_true_random=False))
def test_the_short_way_to_an_append_takes_what_the_long_way_takes(frame: str, dice: random.Random) -> None:
    """A blank before it makes any frame take the long way, and changes nothing in JSON."""
    hostile = mutated(frame, dice)
    assert answer_to(hostile, parse_client) == answer_to(f" {hostile}", parse_client)


@pytest.mark.parametrize("frame", APPENDS)
def test_an_append_that_lacks_anything_is_refused(frame: str) -> None:
    assert isinstance(parse_client(frame), Append)
    whole = json.loads(frame)["audio"]
    for wrong in (
        *(frame[:end] for end in range(len(frame))),
        frame.replace(whole, ""),
        frame.replace(whole, whole[:3]),
        frame.replace(whole, f"{whole}="),
        frame.replace(whole, '", "audio": "AAAA'),
        frame.replace(whole, "AAA\\u0041"),
        frame.replace(f'"{whole}"', '"'),
        frame.replace(whole, "\ud800"),
        f"{frame}}}",
    ):
        assert answer_to(wrong, parse_client) == answer_to(f" {wrong}", parse_client)


def test_the_retired_names_of_modes_are_understood() -> None:
    frame = (
        '{"type": "session.update", "session": {"model": "lilac", "source_language": "a", "target_language": "b"}}'
    )
    message = parse_client(frame, opening=True)
    assert isinstance(message, SessionUpdate)
    assert message.opening == SessionConfig("a", "b", mode="slow")


def test_a_session_from_both_sides() -> None:
    client, server = ClientProtocol(CONFIG), ServerProtocol()
    with pytest.raises(LocalProtocolError, match="not ready"):
        client.send(Append(b""))
    assert server.receive(client.open("k")) == SessionUpdate(opening=CONFIG, api_key="k")
    with pytest.raises(LocalProtocolError, match="only errors"):
        server.send(TextDelta("early"))
    client.receive(server.send(SessionStarting()))
    assert client.state == server.state == "starting"
    client.receive(server.send(SessionCreated("s-1", CONFIG)))
    client.receive(server.send(SessionUpdated(CONFIG)))
    assert (client.state, client.session_id, server.state) == ("ready", "s-1", "ready")
    assert server.receive(client.send(Append(b"\1\0"))) == Append(b"\1\0")
    changed = SessionConfig("en-us", "es-es")
    assert server.receive(client.send(SessionUpdate(target_language="es-es"))) == SessionUpdate(None, "es-es")
    client.receive(server.send(SessionUpdated(changed)))
    assert client.config == changed
    closed = client.closed(1001, "bye")
    assert closed is not None
    assert closed.payload == Closed(1001, "bye")
    assert client.closed(1001, "bye") is None
    with pytest.raises(LocalProtocolError, match="closed"):
        client.send(Append(b""))


def test_a_client_keeps_the_reason_of_a_refusal() -> None:
    client, server = ClientProtocol(CONFIG), ServerProtocol()
    server.receive(client.open(None))
    client.receive(server.send(ErrorEvent("who are you", "invalid_api_key", "authentication_error")))
    assert client.refused == ErrorEvent("who are you", "invalid_api_key", "authentication_error")


def test_a_server_refuses_what_comes_out_of_its_time() -> None:
    server = ServerProtocol()
    with pytest.raises(RemoteProtocolError, match="first message"):
        server.receive(b"binary")
    server.receive(ClientProtocol(CONFIG).open(None))
    with pytest.raises(RemoteProtocolError, match="came before"):
        server.receive(dump_client(Append(b"")))
    server.send(SessionCreated("s", CONFIG))
    assert server.receive(b"binary") is None
    with pytest.raises(LocalProtocolError, match="has no place"):
        server.send(SessionStarting())
    with pytest.raises(LocalProtocolError, match="whole samples"):
        server.send(AudioDelta(b"odd"))
    with pytest.raises(LocalProtocolError, match="close the socket"):
        dump_server(Closed(1000))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)

# --- whatever may come --------------------------------------------------------------------------------------

SERVER_FRAMES = [
    dump_server(SessionCreated("s-81f2", CONFIG, Resumption("t", 4))),
    dump_server(TranscriptCompleted("Guten Tag.", "item_4", "de-de")),
    dump_server(TextDelta("Buenos días")),
    dump_server(TextDone("Buenos días.", 0, 24000)),
    dump_server(ErrorEvent("no", "unsupported_language", "invalid_request_error", "session.target_language")),
    '{"type": "response.audio.delta", "delta": "AAABAAIA"}',
]
CLIENT_FRAMES = [
    dump_client(SessionUpdate(opening=CONFIG, api_key="k", resume=Resume("t", 4))),
    dump_client(SessionUpdate(target_language="es-es")),
    dump_client(Append(bytes(range(48)))),
    dump_client(IgnoreForDetection("item_4")),
    dump_client(Acknowledge(7)),
]
ALPHABET = '{}[]",:0123456789.eE+-\\untrfalsé \x00\ud800\U0001f600'


def mutated(frame: str, dice: random.Random) -> str:
    """`frame` with a few places cut, doubled, swapped or overwritten."""
    text = frame
    for _ in range(dice.randint(1, 4)):
        begin = dice.randrange(len(text) + 1)
        end = min(len(text), begin + dice.randint(0, 8))
        piece = "".join(dice.choices(ALPHABET, k=dice.randint(0, 4)))
        text = text[:begin] + dice.choice([piece, text[begin:end] * 2, ""]) + text[end:]
    return text


def test_no_server_message_breaks_a_client(pytestconfig: pytest.Config) -> None:
    dice, client = random.Random(1), ClientProtocol(CONFIG)
    client.open(None)
    for _ in range(pytestconfig.getoption("fuzz_messages")):
        frame = mutated(str(dice.choice(SERVER_FRAMES)), dice)
        event = client.receive(frame)
        assert isinstance(event.type, str)


def test_no_client_message_breaks_a_server(pytestconfig: pytest.Config) -> None:
    dice = random.Random(2)
    fresh, ready = ServerProtocol(), ServerProtocol()
    ready.receive(CLIENT_FRAMES[0])
    ready.send(SessionCreated("s", CONFIG))
    for _ in range(pytestconfig.getoption("fuzz_messages")):
        frame = mutated(dice.choice(CLIENT_FRAMES), dice)
        for server in (fresh, ready):
            try:
                server.receive(frame)
            except RemoteProtocolError as wrong:
                assert wrong.code
        fresh.state = "new"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    )
)
@settings(deadline=None)
def test_any_json_in_any_field_is_survived(value: Any) -> None:
    for frame in [*SERVER_FRAMES, *CLIENT_FRAMES]:
        raw = json.loads(str(frame))
        for name in list(raw):
            text = json.dumps({**raw, name: value})
            parse_server(text)
            for opening in (True, False):
                try:
                    parse_client(text, opening=opening)
                except RemoteProtocolError as wrong:
                    assert str(wrong)
