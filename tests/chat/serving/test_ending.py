"""The net under the end of a process."""

import subprocess
import sys

HANGS = """
from threading import Event
from chat.serving.ending import end_by_force_after
end_by_force_after(0.1)
Event().wait()
"""


def test_a_process_that_hangs_while_it_closes_is_ended() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 1
    assert "ended_by_force" in ended.stdout + ended.stderr
