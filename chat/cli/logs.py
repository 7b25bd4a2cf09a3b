"""What a process writes to stderr: one line per event, for people on a terminal and as JSON elsewhere."""

import logging
import os
import sys
from typing import Any, Final

import orjson
import structlog
from structlog.typing import Processor

from chat.config.schema import LogSection

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


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
    level = _LEVELS[section.level]
    structlog.configure(
        processors=[*shared, *rendering],
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
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]


def _dumps(event: Any, **_: Any) -> str:
    # repr, so that a secret that went astray shows itself as ***.
    return orjson.dumps(event, default=repr).decode()
