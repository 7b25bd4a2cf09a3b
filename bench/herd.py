"""Very many clients in one process, cheap enough not to be what is measured: each keeps its positions as an SDK does,
answers pings, and comes back with an SDK's backoff.
"""

import asyncio
import json
import random
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec

from bench.sender import masked

CONNECT_TIMEOUT_S: Final = 5.0
MIN_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 20.0
ADDRESSES: Final = 16
"""Source addresses 127.0.0.2 and up, for more ports than one address has."""


class Pub(msgspec.Struct):
    offset: int = 0


class Push(msgspec.Struct):
    channel: str = ""
    pub: Pub | None = None


class Sub(msgspec.Struct):
    offset: int = 0
    was_recovering: bool = False
    recovered: bool = False


class Connected(msgspec.Struct):
    subs: dict[str, Sub] = {}


class Error(msgspec.Struct):
    code: int = 0


class Message(msgspec.Struct):
    push: Push | None = None
    connect: Connected | None = None
    error: Error | None = None


@dataclass
class Herd:
    """Where the clients go, and what became of them. `target` gives the head of each channel: who has them all has
    caught up.
    """

    host: str
    port: int
    target: dict[str, int] = field(default_factory=dict)
    online: int = 0
    events: Counter[str] = field(default_factory=Counter)
    started_at: float = 0.0
    caught_up_s: list[float] = field(default_factory=list)
    connected_s: list[float] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    coming_back: bool = False
    members: list["Client"] = field(default_factory=list)
    _opening: set["asyncio.Task[None]"] = field(default_factory=set)

    def add(self, tokens: Sequence[str], channels: Sequence[Sequence[str]]) -> None:
        """Make a client for each token, with the channels that it has."""
        self.members = [
            Client(self, token, f"127.0.0.{2 + number % ADDRESSES}", dict.fromkeys(mine, 0))
            for number, (token, mine) in enumerate(zip(tokens, channels, strict=True))
        ]

    def connect_all(self, *, over_s: float = 0.0) -> None:
        """Have them come, each at its own time within `over_s`."""
        self.started_at = time.perf_counter()
        self.caught_up_s, self.connected_s = [], []
        self.done.clear()
        loop = asyncio.get_running_loop()
        for member in self.members:
            member.caught_up = False
            member.attempts = 0
            loop.call_later(random.random() * over_s, member.open)

    def open(self, member: "Client") -> None:
        task = asyncio.get_running_loop().create_task(self._open(member))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, member: "Client") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: member, self.host, self.port, local_addr=(member.address, 0))
        except OSError as error:
            self.events[f"connect: {type(error).__name__}"] += 1
            member.come_back()
        finally:
            member.opening = False

    def look(self, member: "Client") -> None:
        """Note who has caught up."""
        if not member.caught_up and all(at >= self.target.get(name, 0) for name, at in member.positions.items()):
            member.caught_up = True
            self.caught_up_s.append(time.perf_counter() - self.started_at)
            if len(self.caught_up_s) == len(self.members):
                self.done.set()

    @property
    def most_refused(self) -> int:
        """How often the unluckiest was refused."""
        return max(member.refused for member in self.members)


class Client(asyncio.Protocol):
    """One raw client."""

    __slots__ = (
        "_buffer",
        "_deadline",
        "_herd",
        "_returning",
        "_token",
        "_transport",
        "address",
        "attempts",
        "caught_up",
        "connected",
        "opening",
        "positions",
        "refused",
        "upgraded",
    )

    def __init__(self, herd: Herd, token: str, address: str, positions: dict[str, int]) -> None:
        self._herd = herd
        self._token = token
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._returning = False
        self.opening = False
        self.address = address
        self.positions = positions
        self.attempts = 0
        self.refused = 0
        self.upgraded = False
        self.connected = False
        self.caught_up = False

    def open(self) -> None:
        self._returning = False
        # Somebody who was about to come by themselves, and is called as well, comes once.
        if self._transport is None and not self.opening:
            self.opening = True
            self._herd.open(self)

    def come_back(self) -> None:
        """After a delay as the JavaScript SDK has it: full jitter, up to twenty seconds."""
        # A connection that is lost while it is made is told of twice.
        if not self._herd.coming_back or self._returning:
            return
        self._returning = True
        most = min(MAX_DELAY_S, MIN_DELAY_S * 2**self.attempts)
        delay = min(MAX_DELAY_S, MIN_DELAY_S + random.random() * most)
        self.attempts = min(self.attempts + 1, 31)
        asyncio.get_running_loop().call_later(delay, self.open)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._buffer = b""
        self.upgraded = self.connected = False
        self._transport.write(
            f"GET /connection/websocket HTTP/1.1\r\nHost: {self._herd.host}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_waiting()
        if self.connected:
            self._herd.online -= 1
            self.connected = False
        self.come_back()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.upgraded and not self._upgrade():
            return
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == 8:
                self._herd.events[f"close {int.from_bytes(payload[:2])}"] += 1
                self.close()
                return
            for line in payload.split(b"\n"):
                self._take(line)

    def _upgrade(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        status = head[9:12].decode()
        if status != "101":
            self._herd.events[f"refused {status}"] += 1
            self.refused += 1
            self.close()
            return False
        self.upgraded = True
        self._buffer = rest
        subs = {name: {"recover": True, "epoch": "", "offset": at} for name, at in self.positions.items() if at}
        self._send({"id": 1, "connect": {"token": self._token, "subs": subs}})
        self._deadline = asyncio.get_running_loop().call_later(CONNECT_TIMEOUT_S, self._too_late)
        return True

    def _too_late(self) -> None:
        self._deadline = None
        self._herd.events["no connect reply in time"] += 1
        self.close()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            start = 4
            size = struct.unpack_from("!H", buffer, 2)[0] if len(buffer) >= start else 1 << 30
        elif size == 127:
            start = 10
            size = struct.unpack_from("!Q", buffer, 2)[0] if len(buffer) >= start else 1 << 30
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        return buffer[0] & 0x0F, buffer[start : start + size]

    def _take(self, line: bytes) -> None:
        if line == b"{}":
            if self._transport is not None:
                self._transport.write(masked(b"{}"))
            return
        message = msgspec.json.decode(line, type=Message)
        push = message.push
        if push is not None:
            if push.pub is not None and push.pub.offset > self.positions.get(push.channel, 1 << 62):
                if push.pub.offset != self.positions[push.channel] + 1:
                    self._herd.events["out of order"] += 1
                self.positions[push.channel] = push.pub.offset
                self._herd.look(self)
        elif message.connect is not None:
            self._on_connected(message.connect.subs)
        elif message.error is not None:
            self._herd.events[f"error {message.error.code}"] += 1
            self.close()

    def _on_connected(self, subs: Mapping[str, Sub]) -> None:
        self._stop_waiting()
        self.connected = True
        self.attempts = 0
        herd = self._herd
        herd.online += 1
        herd.connected_s.append(time.perf_counter() - herd.started_at)
        for name in self.positions:
            sub = subs.get(name)
            if sub is None:
                herd.events["left out"] += 1
            elif not sub.was_recovering or not sub.recovered:
                herd.events["recovered" if sub.recovered else "placed at the head"] += 1
                self.positions[name] = sub.offset
            else:
                herd.events["recovered"] += 1
        herd.look(self)

    def _send(self, command: object) -> None:
        if self._transport is not None:
            self._transport.write(masked(json.dumps(command).encode()))
