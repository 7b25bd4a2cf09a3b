"""What a process holds: memory and descriptors, as the kernel counts them; and how many series it exposes."""

from pathlib import Path
from typing import Final

import aiohttp

MIB: Final = 1024 * 1024


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


async def series(http: str) -> int:
    """How many samples `/metrics` has."""
    async with aiohttp.ClientSession(http) as session, session.get("/metrics") as response:
        text = await response.text()
    return sum(1 for line in text.splitlines() if line and not line.startswith("#"))
