"""One hub process from its start to its end."""

import subprocess
import sys


def test_a_process_that_hangs_while_it_closes_is_ended():
    code = "from threading import Event; from chat.serving.ending import end_by_force_after as end; end(0.1); Event().wait()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "ended_by_force" in ended.stdout + ended.stderr
