"""Who is let in, how fast, how often, and whose turn it is: counting, with no loop and no socket."""

from __future__ import annotations

import itertools
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serve.keys import Keys, read_keys
from pipeline.serve.limits import LATER, Admission, Limits, Pace, Refusal
from pipeline.serve.turns import Load, Rota, Ticket, Turns
from stages.patience import Manners

# --- admission ------------------------------------------------------------------------------------------------

LIMITS = Limits(sessions=4, sessions_per_key=2, sessions_per_address=3)


@pytest.mark.parametrize(
    ("sessions", "code"),
    [
        ([("a", "1"), ("a", "2"), ("a", "3")], "too_many_sessions_for_key"),
        ([("a", "1"), ("b", "1"), (None, "1"), (None, "1")], "too_many_sessions_for_address"),
        ([(None, "1"), (None, "2"), (None, "3"), (None, "4"), (None, "5")], "too_many_sessions"),
    ],
)
def test_each_limit_has_its_own_code(sessions: list[tuple[str | None, str]], code: str) -> None:
    admission = Admission(LIMITS)
    for key, address in sessions[:-1]:
        admission.admit(key, address)
    with pytest.raises(Refusal) as caught:
        admission.admit(*sessions[-1])
    assert (caught.value.event.code, caught.value.close_code) == (code, LATER)
    admission.leave(*sessions[0])
    admission.admit(*sessions[-1])


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from("xyz"), st.booleans())))
def test_no_limit_is_ever_passed_and_nobody_is_forgotten(calls: list[tuple[str | None, str, bool]]) -> None:
    admission, inside = Admission(LIMITS), []
    for key, address, leaves in calls:
        if leaves and inside:
            admission.leave(*inside.pop(0))
            continue
        try:
            admission.admit(key, address)
            inside.append((key, address))
        except Refusal:
            full = len(inside) == 4
            assert full or sum(k == key for k, _ in inside) >= 2 or sum(a == address for _, a in inside) >= 3
        assert admission.sessions == len(inside) <= 4
        assert all(sum(k == name for k, _ in inside) <= 2 for name in "ab")
    for each in inside:
        admission.leave(*each)
    assert admission == Admission(LIMITS)


# --- pace and manners -----------------------------------------------------------------------------------------


def test_audio_at_real_time_is_never_too_fast() -> None:
    pace = Pace(limit_s=1.0)
    for second in range(100):
        assert pace.add(24000, float(second)) == 1.0


def test_audio_that_is_too_fast_is_refused() -> None:
    pace = Pace(limit_s=3.0)
    pace.add(3 * 24000, 0.0)
    with pytest.raises(Refusal, match="faster than real time") as caught:
        pace.add(1, 0.0)
    assert (caught.value.event.code, caught.value.event.param) == ("audio_too_fast", "audio")


def test_a_flood_of_half_samples_is_too_fast_as_well() -> None:
    pace = Pace(limit_s=0.1)
    with pytest.raises(Refusal):
        for _ in range(5000):
            pace.add(1 / 2, 0.0)


def test_a_pause_saves_nothing_up() -> None:
    pace = Pace(limit_s=2.0)
    pace.add(24000, 0.0)
    assert pace.add(24000, 100.0) == 1.0
    with pytest.raises(Refusal):
        pace.add(2 * 24000, 100.0)


@given(st.lists(st.booleans()), st.integers(0, 5))
def test_mistakes_are_forgiven_but_not_without_end(messages: list[bool], limit: int) -> None:
    manners, owed = Manners(limit), 0
    for good in messages:
        owed = max(0, owed - 1) if good else owed + 1
        if good:
            manners.good()
        else:
            assert manners.bad() == (owed > limit)


# --- keys ----------------------------------------------------------------------------------------------------


def test_keys_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# who\n\nalice: k-alice\nk-plain\n bob:k:with:colons \n")
    keys = read_keys(path)
    assert [keys.name_of(key) for key in ("k-alice", "k-plain", "k:with:colons")] == ["alice", "line 4", "bob"]
    assert [keys.name_of(key) for key in ("alice", "", None, "k-alice ", "\ud800", "ключ")] == [None] * 6
    assert "k-alice" not in repr(keys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "came none"),
        ("# nobody\n", "came none"),
        ("alice:\n", ":1: wanted"),
        (":k\n", ":1: wanted"),
        ("a:canary\nb:canary\n", ":2: this key is that of 'a'"),
    ],
)
def test_a_bad_file_of_keys_is_told_without_the_keys(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_keys(path)
    assert "canary" not in str(caught.value)


def test_without_keys_nobody_is_known() -> None:
    assert Keys({}).name_of("") is None


# --- turns ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.lists(st.sampled_from("abcd"), max_size=30))
def test_sessions_are_served_in_turn_and_no_worker_rests(workers: int, asking: list[str]) -> None:
    rota = Rota(workers)
    waiting = [ticket for ticket in map(Ticket, asking) if not rota.ask(ticket)]
    assert len(asking) - len(waiting) == min(workers, len(asking))
    served: list[Ticket] = []
    while (ticket := rota.give_back()) is not None:
        served.append(ticket)
    assert sorted(map(id, served)) == sorted(map(id, waiting))
    for name in set(asking):
        mine = [ticket for ticket in served if ticket.session == name]
        assert mine == [ticket for ticket in waiting if ticket.session == name]
        for one, other in itertools.pairwise(mine):
            between = [t.session for t in served[served.index(one) + 1 : served.index(other)]]
            assert len(set(between)) == len(between), "nobody has two turns while another waits for one"


def test_the_load_is_what_lay_in_the_window() -> None:
    load = Load(workers=2, window_s=10.0)
    assert load.fraction(5.0) == 0.0
    load.change(1, 10.0)
    load.change(1, 15.0)
    load.change(-2, 20.0)
    assert load.fraction(20.0) == pytest.approx(15 / 20)
    assert load.fraction(25.0) == pytest.approx(10 / 20)
    assert load.fraction(31.0) == 0.0
    load.change(1, 40.0)
    assert load.fraction(50.0) == pytest.approx(0.5)


@pytest.mark.anyio
async def test_a_busy_session_does_not_keep_another_waiting() -> None:
    turns, order = Turns(1), list[str]()

    async def work(name: str) -> None:
        async with turns.seat(name):
            order.append(name)

    await turns.take("greedy")
    async with anyio.create_task_group() as tasks:
        for name in ("greedy", "greedy", "greedy", "modest", "late"):
            tasks.start_soon(work, name)
            await wait_all_tasks_blocked()
        turns.give_back()
    assert order == ["greedy", "modest", "late", "greedy", "greedy"]


@pytest.mark.anyio
async def test_waiting_is_measured_and_can_be_given_up() -> None:
    waits: list[float] = []
    turns = Turns(1, waits.append)
    seat = turns.seat("a")
    async with anyio.create_task_group() as tasks, seat:
        tasks.start_soon(turns.take, "b")
        await wait_all_tasks_blocked()
        assert turns.longest_wait_s >= 0.0
        tasks.cancel_scope.cancel()
    assert len(waits) == 1
    async with seat:  # the worker is free again
        assert len(waits) == 2
    assert turns.load.fraction(anyio.current_time()) < 1.0


@pytest.mark.anyio
async def test_a_turn_that_comes_while_it_is_given_up_goes_to_the_next() -> None:
    turns, served = Turns(1), list[str]()

    async def work(name: str) -> None:
        async with turns.seat(name):
            served.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            await turns.take("first")
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(work, "gives up")
                    await wait_all_tasks_blocked()
                    tasks.start_soon(work, "next")
                    await wait_all_tasks_blocked()
                    scope.cancel()
                    turns.give_back()
    assert served == ["next"]


@pytest.mark.anyio
async def test_a_seat_is_a_limiter_for_threads() -> None:
    turns = Turns(1)
    seat = turns.seat("a")
    with anyio.fail_after(5):
        assert await anyio.to_thread.run_sync(lambda: 7, limiter=seat) == 7  # type: ignore[arg-type]
        async with seat:
            pass
