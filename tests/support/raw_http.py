"""HTTP as bytes, for requests that no library would send."""

import asyncio
import re
from dataclasses import dataclass

from support.waiting import PATIENCE_S


@dataclass(frozen=True)
class Answers:
    """What came back until the server closed, or was quiet: `statuses` of every response in it."""

    raw: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/[0-9.]+ ([0-9]{3}) ", self.raw)]


async def exchange(url: str, data: bytes, *, quiet_s: float = 0.5, within_s: float = PATIENCE_S) -> Answers:
    """Send bytes on a connection of their own; returns what came, at the latest `quiet_s` after the last of it."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    raw, closed, wait_s = bytearray(), False, within_s
    try:
        writer.write(data)
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    chunk = await reader.read(65_536)
            except TimeoutError:
                break
            except ConnectionError:
                closed = True
                break
            if not chunk:
                closed = True
                break
            raw += chunk
            wait_s = quiet_s
    finally:
        writer.transport.abort()
    return Answers(bytes(raw), closed)
