"""The net under every end of a process: whatever hangs, it is over in time."""

import os
import threading
from typing import Final

import structlog

from chat.serving.signals import Stopping

log = structlog.get_logger(__name__)

HURRY_S: Final = 1.0
"""What is left of a process after a second signal."""


def end_by_force_after(timeout_s: float) -> None:
    """End this process in so many seconds if it has not ended by itself: whatever hangs while it closes, even in the
    event loop's own end, does not keep it. What was acknowledged is stored long before.
    """

    def end() -> None:
        log.error("ended_by_force", after_s=timeout_s)
        os._exit(1)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()


def stopping_within(timeout_s: float) -> Stopping:
    """Signals that are obeyed in time: `timeout_s` after the first the process is gone, a second after another one."""

    def urged() -> None:
        log.warning("stopping_at_once")
        end_by_force_after(HURRY_S)

    return Stopping(on_asked=lambda: end_by_force_after(timeout_s), on_urged=urged)
