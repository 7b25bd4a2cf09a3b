"""A whole local deployment to measure, as `hubbub dev` starts it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

UNLIMITED: Final = {
    f"HUBBUB_RATE_LIMITS__{limit}": "0"
    for limit in ("CONNECTION_COMMANDS", "USER_COMMANDS", "USER_SENDS", "ADDRESS_UPGRADES")
}
"""What is measured is what a process can do, not what one user may."""


@contextmanager
def local_deployment() -> Iterator[tuple[dict[str, Any], Path]]:
    """What `hubbub dev --json` says of itself, and its data directory; ended and removed with the block."""
    with tempfile.TemporaryDirectory(prefix="hubbub-bench-", ignore_cleanup_errors=True) as directory:
        command = [sys.executable, "-m", "chat", "dev", "--port", "0", "--data", directory, "--json"]
        server = subprocess.Popen(command, env={**os.environ, **UNLIMITED}, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise SystemExit("the server did not start")
            yield json.loads(line), Path(directory)
        finally:
            server.terminate()
            server.wait()
