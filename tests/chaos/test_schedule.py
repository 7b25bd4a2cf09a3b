"""Schedules: a seed decides, faults that happen together can, and named ones do what can be done here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import report, schedule
from chaos.conducting import Result
from chaos.fault import Fault, Run, Topology
from chaos.faults_table import FAULTS


@asynccontextmanager
async def nothing(_run: Run) -> AsyncIterator[None]:
    yield


def told(segments: list[schedule.Segment]) -> list[tuple[int, list[tuple[str, tuple[float, ...]]]]]:
    return [
        (
            one.topology.mongods,
            [(act.name, (*act.delays_s, *(fault.lasts_s for fault in act.faults))) for act in one.acts],
        )
        for one in segments
    ]


def test_a_seed_reproduces_a_schedule_and_another_one_makes_another() -> None:
    first = told(schedule.soak(FAULTS, seed=7, minutes=10))
    assert first == told(schedule.soak(FAULTS, seed=7, minutes=10))
    assert first != told(schedule.soak(FAULTS, seed=8, minutes=10))
    assert any("+" in name for _, acts in first for name, _ in acts)


def test_faults_that_overlap_are_of_different_kinds() -> None:
    for segment in schedule.soak(FAULTS, seed=1, minutes=60):
        for act in segment.acts:
            areas = [schedule.area(fault) for fault in act.faults]
            assert len(set(areas)) == len(areas)


def test_every_named_schedule_names_faults_that_there_are() -> None:
    numbers = {fault.number for fault in FAULTS}
    for name, acts in schedule.NAMED.items():
        assert {number for act in acts for number in act} <= numbers, name
        assert schedule.named(name, FAULTS).acts


def test_what_this_machine_cannot_do_is_left_out_of_a_named_schedule() -> None:
    unable = [replace(fault, skipped=lambda: "not here") if fault.number == "16" else fault for fault in FAULTS]
    names = [act.name for act in schedule.named("deploy", unable).acts]
    assert names == ["F21", "F32"]


def test_a_cluster_for_several_faults_has_what_each_needs() -> None:
    faults = [
        Fault("1", "one", nothing, Topology(hubs=3, settings={"client.ping_interval": "1s"})),
        Fault("2", "two", nothing, Topology(mongods=3)),
    ]
    found = schedule.together(faults)
    assert (found.hubs, found.mongods, found.settings) == (3, 3, {"client.ping_interval": "1s"})
    other = Fault("3", "three", nothing, Topology(settings={"client.ping_interval": "2s"}))
    with pytest.raises(ValueError, match="three wants another"):
        schedule.together([*faults, other])


def test_a_report_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n<!-- faults: written by the run -->\nthe last one\n<!-- /faults: written by the run -->\n\nend\n"
    )
    held = Result("F3", "Redis | frozen", 1, took_s=60.0)
    skipped = Result("F29", "push", 1, skipped="there is none")
    report.into_docs(page, "faults", report.as_markdown([held, skipped], "make chaos"))
    text = page.read_text()
    assert "the last one" not in text
    assert text.startswith("# Page\n")
    assert text.endswith("end\n")
    assert "| F3 Redis / frozen | 0 | 0 |" in text
    assert "skipped: there is none" in text
    with pytest.raises(ValueError, match="no place for mutants"):
        report.into_docs(page, "mutants", "")
