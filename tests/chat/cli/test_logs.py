"""What processes write: JSON for machines, lines for people, secrets for nobody."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from chat.cli.logs import configure_logs
from chat.config import Secret
from chat.config.schema import LogSection


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_events_are_lines_of_json_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSection())
    structlog.get_logger("x").info("served", port=8000)
    (line,) = written(capsys)
    assert (line["event"], line["level"], line["port"]) == ("served", "info", 8000)
    assert str(line["timestamp"]).endswith("Z")


def test_a_secret_that_went_astray_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSection(format="json"))
    structlog.get_logger("x").info("oops", key=Secret("hunter2"))
    configure_logs(LogSection(format="console"))
    structlog.get_logger("y").info("oops", key=Secret("hunter2"))
    assert "hunter2" not in capsys.readouterr().err


def test_events_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSection(level="warning"))
    log = structlog.get_logger("x")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in written(capsys)] == ["loud"]


def test_loggers_of_libraries_come_out_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSection())
    logging.getLogger("aiohttp.server").info("routine")
    try:
        int("broken")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("failed")
    (line,) = written(capsys)
    assert (line["event"], line["logger"], line["level"]) == ("failed", "aiohttp.server", "error")
    assert "ValueError: invalid literal" in str(line["exception"])


def test_people_get_lines_without_colors_when_it_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSection(format="console"))
    structlog.get_logger("x").warning("served", port=8000)
    said = capsys.readouterr().err
    assert "served" in said
    assert "\x1b" not in said
