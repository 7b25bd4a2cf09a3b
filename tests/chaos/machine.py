"""What this machine can do for a fault. Each `no_…` returns why it cannot, or None. Nothing is installed here."""

import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

Reason = str | None

FAKETIME: Final = "libfaketimeMT.so.1"
_FAKETIME_IN: Final = ("/usr/lib", "/usr/local/lib", "/opt")
_TMPFS_BYTES: Final = 1 << 30


def no_faketime() -> Reason:
    if faketime() is None:
        return "libfaketime is not there (.ci/prepare packages faketime)"
    return None


def faketime() -> Path | None:
    """The library that lies about the time."""
    for root in _FAKETIME_IN:
        for path in sorted(Path(root).glob(f"**/faketime/{FAKETIME}")):
            return path
    return None


def no_small_disk() -> Reason:
    """Whether a file system of a given size can be mounted."""
    if (reason := not_root("mounting a small disk")) is not None:
        return reason
    if _available_bytes() < 2 * _TMPFS_BYTES:
        return "a disk in memory needs 2 GiB of free memory"
    with tempfile.TemporaryDirectory(prefix="hubbub-chaos-") as directory:
        mounted = _says("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory)
        if mounted is not None:
            return f"no tmpfs can be mounted: {mounted}"
        return _says("umount", directory)


def no_memory_limit() -> Reason:
    """Whether a process can be started with less memory, `wrapped=("prlimit", "--as=…")`."""
    return None if shutil.which("prlimit") else "prlimit is not there"


def no_replica_set() -> Reason:
    """Whether three mongods fit, and connections can be told apart by process."""
    if not Path("/proc/net/tcp").exists():
        return "members are told apart by /proc/net/tcp, which is not there"
    if _available_bytes() < 3 << 30:
        return "three mongods need 3 GiB of free memory"
    return None


def no_crowd(connections: int) -> Callable[[], Reason]:
    """Whether this process and a hub may each have so many connections."""

    def reason() -> Reason:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = hard if hard != resource.RLIM_INFINITY else 1 << 20
        return None if most > connections + 1000 else f"{connections} connections, and a process may open {soft} files"

    return reason


def not_root(what: str) -> Reason:
    return None if os.geteuid() == 0 else f"{what} needs root"


def _available_bytes() -> int:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return 0
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _says(*command: str) -> Reason:
    """Run something; what it complained about, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")
