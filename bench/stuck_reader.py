"""What one reader that does not read costs the others: their latency with and without it, in the same run.

Starts a complete server (`hubbub dev`) with a group of 1,000 connected receivers, to which messages are sent at a
steady rate. In turns: nobody is stuck; one more member reads nothing at all; one more member reads a byte a second.
Told are the receivers' latencies, how long the stuck one was kept, and whether memory and descriptors came back.
"""

import asyncio
import json
import resource
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import aiohttp

from bench.local import local_deployment
from bench.reconnect_storm import Api, rss_mb
from bench.results import percentile
from bench.sender import masked
from bench.suite import Figure, Run, Scenario, main
from chat.auth.mint import connection_token
from chat.config import load

MARK: Final = b'"text":"@'
PING: Final = b"\x81\x02{}"
CONNECTING: Final = 50
SMALL_BUFFER: Final = 4096
GIVE_UP_S: Final = 180.0
NOBODY: Final = "nobody stuck"
KINDS: Final = (NOBODY, "one reads nothing", "one reads a byte a second")
TCP_MEM: Final = Path("/proc/net/sockstat")


def request(host: str) -> bytes:
    return (
        f"GET /connection/websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def connect_frame(token: str) -> bytes:
    return masked(json.dumps({"id": 1, "connect": {"token": token}}).encode())


@dataclass
class Heard:
    """Latencies of all receivers, in ms, since the last `take`; and how many are there."""

    latencies_ms: list[float] = field(default_factory=list)
    connected: int = 0
    lost: int = 0

    def take(self) -> list[float]:
        taken, self.latencies_ms = self.latencies_ms, []
        return taken


class Receiver(asyncio.Protocol):
    """Reads, and looks only at when a message was sent."""

    def __init__(self, heard: Heard, token: str) -> None:
        self._heard = heard
        self._token = token
        self._connected = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(request("bench"))
        self._transport.write(connect_frame(self._token))

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard.lost += 1

    def data_received(self, data: bytes) -> None:
        if not self._connected and b'"connect":{' in data:
            self._connected = True
            self._heard.connected += 1
        if PING in data and self._transport is not None:
            self._transport.write(masked(b"{}"))
        now = time.perf_counter_ns()
        at = data.find(MARK)
        while at >= 0:
            start = at + len(MARK)
            sent, end, _ = data[start : start + 32].partition(b"@")
            if end:
                self._heard.latencies_ms.append((now - int(sent)) / 1e6)
            at = data.find(MARK, start)


@dataclass
class Server:
    """The hub's process as the system sees it."""

    pid: int

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def state(self) -> dict[str, float]:
        """Resident memory (MB), descriptors, and what the kernel holds for all TCP sockets of the machine (MB)."""
        pages = next(line for line in TCP_MEM.read_text().splitlines() if line.startswith("TCP:")).split()[-1]
        return {
            "RSS MB": rss_mb(self.pid),
            "descriptors": self.descriptors,
            "kernel TCP MB": int(pages) * resource.getpagesize() / 1e6,
        }


class Stuck:
    """A member that connects and then reads nothing, or a byte a second, until it is thrown out."""

    def __init__(self, port: int, token: str, *, trickle: bool) -> None:
        self._trickle = trickle
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(request("stuck") + connect_frame(token))
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, 0)  # an end is always told
        self.opened_at = time.perf_counter()

    async def thrown_out(self) -> float:
        """How long it was kept, in seconds."""
        next_byte = self.opened_at + 1
        while time.perf_counter() - self.opened_at < GIVE_UP_S:
            if any(event & (select.POLLHUP | select.POLLERR) for _, event in self._poll.poll(0)):
                break
            if self._trickle and time.perf_counter() >= next_byte:
                next_byte += 1
                with suppress(BlockingIOError, ConnectionResetError):
                    self._socket.recv(1)
            await asyncio.sleep(0.02)
        kept_s = time.perf_counter() - self.opened_at
        self._socket.close()
        return kept_s


async def send_steadily(api: Api, conversation: str, rate: float, size: int) -> None:
    """Messages at a steady rate, each with the time of its sending in it."""
    sending: set[asyncio.Task[Any]] = set()
    try:
        while True:
            text = f"@{time.perf_counter_ns()}@".ljust(size, "x")
            call = api("owner", "message.send", conversation=conversation, idempotency_key=str(uuid4()), text=text)
            task = asyncio.create_task(call)
            sending.add(task)
            task.add_done_callback(sending.discard)
            await asyncio.sleep(1 / rate)
    finally:
        if sending:
            await asyncio.wait(sending)


async def receive(heard: Heard, port: int, tokens: Sequence[str]) -> None:
    """Connect them, not all at once."""
    loop = asyncio.get_running_loop()
    turn = asyncio.Semaphore(CONNECTING)

    async def one(token: str) -> None:
        async with turn:
            before = heard.connected
            await loop.create_connection(lambda: Receiver(heard, token), "127.0.0.1", port)
            while heard.connected == before:
                await asyncio.sleep(0.005)

    async with asyncio.timeout(GIVE_UP_S):
        await asyncio.gather(*(one(token) for token in tokens))


async def measure(run: Run) -> None:
    options = run.options
    with local_deployment() as (ready, data):
        config = load(data / "config.toml", {}).config
        key = config.token.hmac_secret_key

        def token(user: str) -> str:
            return connection_token(user, key, now_s=time.time(), ttl_s=7200)

        port = int(ready["http"].rpartition(":")[2])
        server = Server(ready["pids"]["hub"])
        receivers = [f"receiver{number}" for number in range(options.receivers)]
        heard = Heard()
        headers = {"X-API-Key": config.api.key.reveal()}
        async with aiohttp.ClientSession(ready["http"], headers=headers) as http:
            api = Api(http)
            conversation = await fill(api, [*receivers, "stuck"])
            await receive(heard, port, [token(user) for user in receivers])
            sending = asyncio.create_task(send_steadily(api, conversation, options.rate, options.size))
            await asyncio.sleep(3)  # warm
            for _ in run.rounds():
                for kind in KINDS:
                    tokens = [] if kind == NOBODY else [token("stuck")]
                    tell(run, kind, await one_phase(kind, tokens, port, server, heard, seconds=options.seconds))
            sending.cancel()
            await asyncio.wait({sending})
        if heard.lost:
            raise SystemExit(f"{heard.lost} receivers were lost")


def tell(run: Run, kind: str, phase: dict[str, Any]) -> None:
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        run.add(f"{name}, {kind}", percentile(phase["latencies ms"], share))
    if phase["kept s"]:
        run.add(f"kept, {kind}", max(phase["kept s"]))
    states = (f"{state['RSS MB']:.0f} MB, {state['descriptors']:.0f}" for state in (phase["before"], phase["after"]))
    run.notes[f"memory and descriptors of the hub before and after, {kind}"] = " → ".join(states)
    run.notes[f"the kernel's TCP memory at most, {kind}"] = f"{phase['at most']['kernel TCP MB']:.1f} MB"


async def one_phase(
    kind: str, tokens: Sequence[str], port: int, server: Server, heard: Heard, *, seconds: float
) -> dict[str, Any]:
    """The receivers' latencies for so many seconds, or for as long as the stuck ones are kept."""
    before = server.state()
    at_most = dict(before)
    watching = asyncio.create_task(watch(server, at_most))
    heard.take()
    kept: list[float] = []
    if tokens:
        ones = [Stuck(port, one, trickle=kind == KINDS[2]) for one in tokens]
        kept = list(await asyncio.gather(*(one.thrown_out() for one in ones)))
    else:
        await asyncio.sleep(seconds)
    latencies = heard.take()
    watching.cancel()
    await asyncio.wait({watching})
    await asyncio.sleep(2)
    return {
        "stuck": kind,
        "latencies ms": latencies,
        "kept s": kept,
        "before": before,
        "at most": at_most,
        "after": server.state(),
    }


async def watch(server: Server, highest: dict[str, float]) -> None:
    """Keep the highest of each figure, four times a second."""
    while True:
        for name, value in server.state().items():
            highest[name] = max(value, highest.get(name, 0.0))
        await asyncio.sleep(0.25)


async def fill(api: Api, members: Sequence[str]) -> str:
    """A group of all of them."""
    made = await api("owner", "conversation.create", kind="group", idempotency_key=str(uuid4()))
    conversation = str(made["conversation"]["id"])
    for start in range(0, len(members), 500):
        chunk = list(members[start : start + 500])
        await api("owner", "conversation.add_members", conversation=conversation, members=chunk)
    return conversation


SCENARIO = Scenario(
    name="stuck_reader",
    title="One reader that does not read",
    about="Messages at a steady rate to a group of connected receivers, of whom in turns none is stuck, one reads "
    "nothing, one reads a byte a second: from the call of the server API to the other receivers.",
    figures=[
        *(
            Figure(f"{name}, {kind}", "ms", baseline="" if kind == NOBODY else f"{name}, {NOBODY}", chart=f"{name}, ms")
            for name in ("p50", "p99")
            for kind in KINDS
        ),
        *(Figure(f"kept, {kind}", "s", "", chart="how long the stuck one is kept, s") for kind in KINDS[1:]),
    ],
    measure=measure,
    full={"receivers": 1000, "rate": 10.0, "size": 4000, "seconds": 15.0},
    quick={"receivers": 100, "rate": 40.0, "size": 8000, "seconds": 5.0},
)

if __name__ == "__main__":
    main(SCENARIO)
