"""What a run was on: the machine, the versions, the revision; and the CPU time of processes."""

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("aiohttp", "uvloop", "motor", "pymongo", "redis", "hiredis", "orjson", "msgspec", "protobuf")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time of a process, all its threads, those that ended included."""

    user_s: float
    system_s: float

    @property
    def both_s(self) -> float:
        return self.user_s + self.system_s

    def __sub__(self, before: "Cpu") -> "Cpu":
        return Cpu(self.user_s - before.user_s, self.system_s - before.system_s)


def cpu(pid: int) -> Cpu:
    """From /proc, in steps of 10 ms. Raises FileNotFoundError for a process that is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S)


class CpuSince:
    """What named processes have used since this was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = {name: cpu(pid) for name, pid in self._pids.items()}

    def take(self) -> dict[str, Cpu]:
        """By name; and begin again."""
        now = {name: cpu(pid) for name, pid in self._pids.items()}
        used = {name: now[name] - before for name, before in self._before.items()}
        self._before = now
        return used


def rss_bytes(pid: int) -> int:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def facts(*, load_before: tuple[float, float, float]) -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "revision": revision(),
        "load_before": load_before,
        "load_after": os.getloadavg(),
    }


def revision() -> str:
    """The short revision of this working tree, with a + if it has changes."""
    try:
        short = _git("rev-parse", "--short=9", "HEAD")
        return short + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
