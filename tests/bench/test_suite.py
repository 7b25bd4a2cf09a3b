"""The frame that benchmarks fit into."""

import pytest

from bench import suite
from bench.suite import Figure, Scenario, names, override, run


def scenario(measure):
    return Scenario(
        name="tried",
        title="Tried",
        about="Nothing.",
        figures=[Figure("value", "ms")],
        measure=measure,
        full={"sizes": (10, 100), "name": "x", "seconds": 1.5, "deep": False},
        quick={"sizes": (10,)},
    )


def test_what_is_measured_to_get_warm_is_not_kept(tmp_path):
    def measure(running):
        for number in running.rounds(warm=2):
            running.add("value", number, at=running.options.sizes[0])

    tried = scenario(measure)
    outcome = run(tried, tried.options(quick=True), rounds=3, results=tmp_path)
    assert [(series.at, series.values) for series in outcome.figures[0].series] == [(10, [1, 2, 3])]
    assert (tmp_path / "tried.json").exists()


def test_options_are_read_as_what_they_replace():
    options = scenario(print).options(quick=False)
    assert override(options, ["sizes=1,2", "seconds=2", "deep=yes"]) == {
        "sizes": (1, 2),
        "name": "x",
        "seconds": 2.0,
        "deep": True,
    }
    for wrong in ("size=1", "sizes"):
        with pytest.raises(ValueError, match="sizes="):
            override(options, [wrong])


def test_every_scenario_is_called_as_its_module_and_names_each_figure_once():
    assert "searching" in names()
    for name in names():
        one = suite.scenario(name)
        assert one.name == name
        figures = [figure.name for figure in one.figures]
        assert len(set(figures)) == len(figures), name
        assert {figure.baseline for figure in one.figures} <= {*figures, ""}, name
        assert one.quick.keys() <= one.full.keys(), name
