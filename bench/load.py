"""A load generator for sends that is not what is measured: one object a connection, no task, no parsing but of frames.

Frames are ready-made but for the id and the key. Speaks JSON; answers the server's pings; counts what it is given.
"""

import asyncio
import json
import os
from binascii import hexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Self, cast

from bench.sender import masked

PONG: Final = masked(b"{}")
_UPGRADE: Final = (
    "GET /connection/websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Client(asyncio.Protocol):
    """One connection. `on_reply(payload)` is called with each reply, as it came."""

    def __init__(self, upgrade: bytes) -> None:
        self._upgrade = upgrade
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._next_id = 0
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self.on_reply: Callable[[bytes], None] = lambda _payload: None
        self.pushes = 0

    @classmethod
    async def open(cls, host: str, port: int, token: str, *, source: str | None = None) -> Self:
        """Connected, and its connect accepted."""
        loop = asyncio.get_running_loop()
        upgrade = _UPGRADE.format(host=host, port=port).encode()
        local = (source, 0) if source else None
        _, client = await loop.create_connection(lambda: cls(upgrade), host, port, local_addr=local)
        await client.opened
        await client.call("connect", {"token": token})
        return client

    async def call(self, command: str, fields: dict[str, object]) -> dict[str, Any]:
        """One command and its reply; not while others are on their way."""
        answered: asyncio.Future[bytes] = self._loop.create_future()
        self.on_reply = answered.set_result
        self.command(f'"{command}":{json.dumps(fields)}'.encode())
        reply: dict[str, Any] = json.loads(await answered)
        return reply

    def command(self, rest: bytes) -> None:
        """Send `{"id":<next>,<rest>}`."""
        self._next_id += 1
        assert self._transport is not None
        self._transport.write(masked(b'{"id":%d,%b}' % (self._next_id, rest)))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        transport.write(self._upgrade)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        start, end = 0, len(data)
        if not self.opened.done():
            start = data.find(b"\r\n\r\n") + 4
            if start < 4:
                self._rest = data
                return
            if b" 101 " not in data[:start]:
                self.opened.set_exception(ConnectionError(data.decode(errors="replace")))
                return
            self.opened.set_result(None)
        while end - start >= 2:
            size, head = data[start + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[start + 2 : start + 4]), 4
            elif size == 127:
                size, head = int.from_bytes(data[start + 2 : start + 10]), 10
            if end - start < head + size:
                break
            self._frame(data[start], data[start + head : start + head + size])
            start += head + size
        self._rest = data[start:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed"))

    def _frame(self, first: int, payload: bytes) -> None:
        if first & 0x0F == 8:
            raise ConnectionError(f"closed: {payload[:120]!r}")
        for line in payload.split(b"\n"):
            if line == b"{}":
                assert self._transport is not None
                self._transport.write(PONG)
            elif line.startswith(b'{"id":'):
                self.on_reply(line)
            else:
                self.pushes += 1


@dataclass
class Sent:
    """What a run came to."""

    seconds: float = 0
    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    pushes: int = 0

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Sender:
    """Sends messages to one conversation, each with a key of its own."""

    def __init__(self, client: Client, conversation: str, text: str = "x" * 100) -> None:
        self.client = client
        self._head = b'"rpc":{"method":"message.send","data":{"conversation":"%b","text":"%b","idempotency_key":"' % (
            conversation.encode(),
            text.encode(),
        )

    def send(self) -> None:
        self.client.command(self._head + hexlify(os.urandom(16)) + b'"}}')


async def closed_loop(senders: Sequence[Sender], seconds: float) -> Sent:
    """Each sends, waits for its acknowledgement, and sends again, until time is over."""
    sent = Sent()
    started = perf_counter()
    deadline = started + seconds
    under_way = len(senders)
    over = asyncio.get_running_loop().create_future()

    def start(sender: Sender) -> None:
        before = 0.0

        def answered(reply: bytes) -> None:
            nonlocal before, under_way
            now = perf_counter()
            if b'"error"' in reply[:24]:
                sent.errors += 1
            else:
                sent.latencies_ms.append((now - before) * 1000)
            if now < deadline:
                before = now
                sender.send()
            else:
                under_way -= 1
                if not under_way:
                    over.set_result(None)

        sender.client.on_reply = answered
        before = perf_counter()
        sender.send()

    pushes = sum(sender.client.pushes for sender in senders)
    for sender in senders:
        start(sender)
    await over
    sent.seconds = perf_counter() - started
    sent.pushes = sum(sender.client.pushes for sender in senders) - pushes
    return sent


async def open_loop(senders: Sequence[Sender], per_s: float, seconds: float) -> Sent:
    """Sends at a fixed rate, in turns, whatever comes back; latency is from when each was due.

    A sender that still waits when its turn comes sends as soon as it is answered.
    """
    sent = Sent()
    loop = asyncio.get_running_loop()
    total = int(per_s * seconds)
    over = loop.create_future()
    due_of: dict[Sender, list[float]] = {sender: [] for sender in senders}
    answered = 0
    started = perf_counter()

    def listen(sender: Sender) -> None:
        due = due_of[sender]

        def heard(reply: bytes) -> None:
            nonlocal answered
            if b'"error"' in reply[:24]:
                sent.errors += 1
            sent.latencies_ms.append((perf_counter() - due.pop(0)) * 1000)
            answered += 1
            if due:
                sender.send()
            if answered == total:
                over.set_result(None)

        sender.client.on_reply = heard

    for sender in senders:
        listen(sender)
    for number in range(total):
        at = started + number / per_s
        if (wait := at - perf_counter()) > 0:
            await asyncio.sleep(wait)
        sender = senders[number % len(senders)]
        due_of[sender].append(at)
        if len(due_of[sender]) == 1:
            sender.send()
    await over
    sent.seconds = perf_counter() - started
    return sent
