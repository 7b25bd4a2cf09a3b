"""What processes write: JSON for machines, lines for people, secrets for nobody."""

import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from chat.cli.logs import configure_logs
from chat.config import Secret
from chat.config.schema import LogSection
from support.command_line import logs_restored


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with logs_restored():
        yield


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


HOSTILE = {
    "A18-line-breaks": "x\r\n2026-01-01 [error    ] forged",
    "A18-escapes": "\x1b[2J\x1b]0;owned\x07",
    "A18-an-8-bit-escape": "\x9b31m",
    "A18-line-separators": "x\u2028forged\u2029forged\u0085forged",
    "A18-another-direction": "\u202egnp.exe",
    "A18-nul-and-backspace": "x\0\b\b",
    "A18-half-a-surrogate-pair": "agent\udcff",
    "A18-a-megabyte": "x" * 1_000_000,
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
@pytest.mark.parametrize("form", ["json", "console"])
def test_what_strangers_write_stays_on_its_line_and_does_nothing(
    capsys: pytest.CaptureFixture[str], form: str, text: str
) -> None:
    configure_logs(LogSection(format=form))
    log = structlog.get_logger("x")
    log.info("origin_refused", origin=text, path=text, several=[text[:50]], text=text)
    log.info(text)
    logging.getLogger("aiohttp.server").warning(text)
    log.error("failed", exc_info=ValueError(text[:50]))
    said = capsys.readouterr().err
    said.encode()
    assert len(said) < 20_000
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]", said)
    lines = said.splitlines()
    if form == "json":
        assert [json.loads(line)["level"] for line in lines] == ["info", "info", "warning", "error"]
    assert not [line for line in lines if line.startswith(("forged", "2026-01-01"))]


def test_people_get_lines_without_colors_when_it_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogSection(format="console"))
    structlog.get_logger("x").warning("served", port=8000)
    said = capsys.readouterr().err
    assert "served" in said
    assert "\x1b" not in said
