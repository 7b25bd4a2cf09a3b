"""What a process writes to stderr: one line per event, for people on a terminal and as JSON elsewhere."""

import json
import logging
import os
import sys
import time
from io import StringIO
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import ExcInfo, Processor

from chat.cli.flood import Flood
from chat.cli.printable import escaped, only_printable, printable
from chat.config.schema import LogSection

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

LINES_AT_ONCE: Final = 100
LINES_PER_S: Final = 20.0
"""Of one event, errors apart."""


def configure_logs(section: LogSection) -> None:
    """Set up structlog, and let the standard library's loggers (aiohttp, asyncio) come out in the same form."""
    console = section.format == "console" or (section.format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not console),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering = _console() if console else _json()
    flood = Flood(burst=LINES_AT_ONCE, per_s=LINES_PER_S, monotonic=time.monotonic)
    level = _LEVELS[section.level]
    structlog.configure(
        processors=[flood, *shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        # Nothing logs on a hot path, and a cached logger could not be configured again.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    # Libraries at info say what our own events say better.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _console() -> list[Processor]:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return [only_printable, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_traceback)]


def _traceback(out: TextIO, exc_info: ExcInfo) -> None:
    text = StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    # Set in: no line of an error's text looks like the beginning of another event.
    out.write("  " + printable(text.getvalue().rstrip("\n"), lines=True).replace("\n", "\n  "))


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, only_printable, structlog.processors.JSONRenderer(serializer=_dumps)]


def _dumps(event: Any, **_: Any) -> str:
    # repr, so that a secret that went astray shows itself as ***.
    try:
        return escaped(orjson.dumps(event, default=repr).decode())
    except TypeError:
        # Half a surrogate pair within a list, or a number that is too large: a line in another spelling, but a line.
        return json.dumps(event, default=repr)
