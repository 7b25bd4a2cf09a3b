"""A whole local deployment to measure, as `hubbub dev` starts it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def local_deployment() -> Iterator[tuple[dict[str, Any], Path]]:
    """What `hubbub dev --json` says of itself, and its data directory; ended and removed with the block."""
    with tempfile.TemporaryDirectory(prefix="hubbub-bench-", ignore_cleanup_errors=True) as directory:
        command = [sys.executable, "-m", "chat", "dev", "--port", "0", "--data", directory, "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise SystemExit("the server did not start")
            yield json.loads(line), Path(directory)
        finally:
            server.terminate()
            server.wait()
