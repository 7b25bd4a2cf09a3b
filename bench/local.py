"""A whole local deployment to measure, as `hubbub dev` starts it."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

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


Measure = Callable[[dict[str, Any], Path, Namespace], Coroutine[Any, Any, dict[str, Any]]]


def run(parser: ArgumentParser, measure: Measure, report: Callable[[dict[str, Any]], None]) -> None:
    """Measure a local deployment, report it and, if `--json` says where, write it. `measure` gets what the deployment
    says of itself, its data directory and the options.
    """
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with local_deployment() as (deployment, data):
        result = uvloop.run(measure(deployment, data, options))
    report(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1))
