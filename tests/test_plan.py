from __future__ import annotations

import pytest

from pipeline.graph import Graph
from pipeline.node import Buffer, Read
from pipeline.plan import make_plan
from pipeline.stage import nature_of
from pipeline.testing import Collect, Playlist, noise
from tests.stages_for_tests import Divide, Halve, Merge, Pass, PassActor, Twofold


def source() -> Playlist:
    return Playlist(items=[noise(10)])


def test_neighbouring_transforms_share_their_feeders_task() -> None:
    graph = Graph().add("talk", source()).add("pcm", Pass(), "talk").add("blocks", Halve(), "pcm")
    plan = make_plan(graph.add("out", Collect(), "blocks"))
    assert [str(task) for task in plan.tasks] == ["talk > pcm > blocks", "out"]
    assert [str(edge) for edge in plan.edges] == ["blocks -> out"]
    assert str(plan).splitlines()[-1] == "channel: blocks -> out (16 items, block)"


def test_an_edge_with_wishes_of_its_own_is_a_channel() -> None:
    graph = Graph().add("a", source()).add("b", Pass(), Read("a", buffer=Buffer(ms=500)))
    plan = make_plan(graph.add("c", Collect(), "b"))
    assert [str(task) for task in plan.tasks] == ["a", "b", "c"]


def test_a_port_with_two_readers_is_not_fused() -> None:
    graph = Graph().add("a", source()).add("b", Pass(), "a").add("c", Pass(), "a")
    plan = make_plan(graph.add("d", Collect(), ["b", "c"]))
    assert [str(task) for task in plan.tasks] == ["a", "b", "c", "d"]
    assert [edge.lane for edge in plan.edges if edge.consumer == "d"] == ["in.0", "in.1"]


def test_several_ports_end_a_run_and_a_join_begins_one() -> None:
    graph = Graph().add("a", source()).add("d", Divide(), "a").add("m", Merge(), ["d.even", "d.odd"])
    plan = make_plan(graph.add("p", Pass(), "m").add("c", Collect(), "p"))
    assert [str(task) for task in plan.tasks] == ["a > d", "m > p", "c"]


def test_an_assembly_runs_as_its_parts() -> None:
    graph = Graph().add("a", source()).add("two", Twofold(), "a").add("c", Collect(), "two.audio")
    plan = make_plan(graph)
    assert [str(task) for task in plan.tasks] == ["a > two/halve", "two/describe (audio; text)", "c"]


def test_the_nature_of_a_stage_is_what_it_can_do() -> None:
    natures = [nature_of(stage) for stage in (source(), Collect(), Pass(), Merge(), PassActor(), Twofold())]
    assert natures == ["source", "actor", "transform", "join", "actor", "assembly"]
    with pytest.raises(TypeError, match="neither `feed` and `flush` nor `run`"):
        nature_of(object())
