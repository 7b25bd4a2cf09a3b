"""What a connection costs that says nothing: memory of a hub by the number of its idle connections, and what it is for.

python -m bench.idle_memory [--quick] [--connections 15000] [--conversations 20]
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from bench.local import local_deployment
from bench.newcomers import Crowd, crowd
from bench.population import channels_of, groups_of, populate
from bench.second_hub import Hub, second_hub
from bench.suite import Figure, Run, Scenario, main
from chat.auth.mint import connection_token
from chat.config import Config, load

AT_ONCE: Final = 16
SETTLE_S: Final = 12.0
"""What is kept for a moment after a connect is gone then: time-outs of the handshake, the first of its garbage."""

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

PARTS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    (
        "the HTTP side",
        ("/aiohttp/", "/yarl/", "/multidict/", "/propcache/", "/chat/http/", "/chat/gate", "/chat/serving/"),
    ),
    (
        "the socket's end here",
        ("/realtime/websocket", "/realtime/incoming", "/realtime/protocol/frame_reader", "/realtime/wire"),
    ),
    (
        "the session",
        (
            "/realtime/session",
            "/realtime/writing",
            "/realtime/listening",
            "/realtime/protocol/machine",
            "/realtime/rates",
            "/realtime/keeper",
            "/realtime/wheel",
            "/realtime/attending",
        ),
    ),
    (
        "its channels",
        ("/realtime/hub", "/realtime/channel", "/realtime/entering", "/realtime/commands", "/realtime/redis/"),
    ),
    ("who it is", ("/chat/auth/", "/chat/limits/", "/chat/usecases/", "/chat/backend/", "/storage/")),
)
"""Whose lines allocated it. The first that fits counts, from the innermost frame outwards."""


class Allocated(msgspec.Struct):
    bytes: int
    blocks: int
    at: list[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: of the process (its own share of what is shared), and of the kernel for all TCP sockets of the machine."""

    process: int
    kernel: int

    @classmethod
    def of(cls, pid: int) -> "Memory":
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        pss_kb = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        sockets = Path("/proc/net/sockstat").read_text().splitlines()
        pages = next(int(line.split()[-1]) for line in sockets if line.startswith("TCP:"))
        return cls(pss_kb * 1024, pages * PAGE_BYTES)


class Scene:
    """A deployment with its users; each is a connect command."""

    def __init__(self, ready: dict[str, Any], data: Path) -> None:
        self.ready = ready
        self.data = data
        self.config: Config = load(data / "config.toml", {}).config
        self.users: list[str] = []
        self.channels: dict[str, list[str]] = {}

    async def fill(self, users: int, conversations: int, members: int) -> None:
        self.users = [f"user{number}" for number in range(users)]
        groups = groups_of(self.users, conversations, members)
        self.channels = channels_of(groups)
        headers = {"X-API-Key": self.config.api.key.reveal()}
        async with aiohttp.ClientSession(self.ready["http"], headers=headers) as http:
            await populate(http, self.ready["mongodb_url"], self.config.mongodb.database, groups)

    def commands(self, users: Sequence[str], *, offset: int = 0, data: Any = None, ttl_s: float = 7200) -> list[str]:
        """With their position in each of their conversations, where there is one. The head is at 2."""
        return [self._command(user, offset, data, ttl_s) for user in users]

    def _command(self, user: str, offset: int, data: Any, ttl_s: float) -> str:
        token = connection_token(user, self.config.token.hmac_secret_key, now_s=time.time(), ttl_s=ttl_s)
        connect: dict[str, Any] = {"token": token, "name": "js", "version": "5.3.5"}
        if offset:
            connect["subs"] = {name: {"recover": True, "offset": offset} for name in self.channels[user]}
        if data is not None:
            connect["data"] = data
        return msgspec.json.encode({"id": 1, "connect": connect}).decode()


@asynccontextmanager
async def scene(users: int, conversations: int, members: int) -> AsyncIterator[Scene]:
    with local_deployment() as (ready, data):
        made = Scene(ready, data)
        await made.fill(users, conversations, members)
        yield made


async def measure(run: Run) -> None:
    options = run.options
    async with scene(options.connections, options.conversations, options.members) as made:
        run.say(
            f"{options.connections} users, {len(made.users) * options.conversations // options.members} conversations"
        )
        for _ in run.rounds():
            async with second_hub(made.ready, made.data) as hub, crowd("127.0.0.1", hub.port) as clients:
                await grow(run, made, hub, clients)
    # Who is traced must have all members of their conversations beside them, as the others have.
    async with scene(options.traced, options.conversations, options.members) as made:
        await explain(run, made)


async def grow(run: Run, made: Scene, hub: Hub, clients: Crowd) -> None:
    options = run.options
    # The first ones bring much that is there only once.
    await clients.connect(made.commands(["warm"]), at_once=1)
    await asyncio.sleep(1)
    empty = before = Memory.of(hub.pid)
    step = options.connections // options.steps
    for count in range(step, step * options.steps + 1, step):
        await clients.connect(made.commands(made.users[count - step : count]), at_once=AT_ONCE)
        await asyncio.sleep(SETTLE_S)
        now = Memory.of(hub.pid)
        run.add("a connection", (now.process - empty.process) / count / 1000, at=count)
        run.add("one more", (now.process - before.process) / step / 1000, at=count)
        run.add("the kernel, both ends", (now.kernel - empty.kernel) / count / 1000, at=count)
        before = now
    still = await clients.close()
    if still != step * options.steps + 1:
        raise RuntimeError(f"of {options.connections} connections {still} were there at the end")


async def explain(run: Run, made: Scene) -> None:
    """Which lines allocated what a connection keeps: a hub that is traced, with some connections."""
    count = run.options.traced
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "memory.json"
        named = {"TRACED_MEMORY": str(path), "HUBBUB_ADMISSION__UPGRADES_PER_SECOND": "0"}
        async with (
            second_hub(made.ready, made.data, module="bench.traced_hub", environment=named) as hub,
            crowd("127.0.0.1", hub.port) as clients,
        ):
            await clients.connect(made.commands(["warm"]), at_once=1)
            await asyncio.sleep(SETTLE_S)
            before = by_place(await told(hub.pid, path))
            await clients.connect(made.commands(made.users), at_once=AT_ONCE)
            await asyncio.sleep(SETTLE_S)
            after = by_place(await told(hub.pid, path))
    grown = {place: size - before.get(place, 0) for place, size in after.items()}
    parts: dict[str, int] = {}
    for place, size in grown.items():
        parts[part_of(place)] = parts.get(part_of(place), 0) + size
    for part, size in sorted(parts.items(), key=lambda item: -item[1]):
        run.notes[f"of a connection: {part}"] = f"{size / count:.0f} bytes"
    largest = sorted(grown.items(), key=lambda item: -item[1])[: run.options.lines]
    for place, size in largest:
        run.notes[short(place)] = f"{size / count:.0f} bytes"


async def told(pid: int, path: Path) -> list[Allocated]:
    path.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    async with asyncio.timeout(60):
        while not path.exists():
            await asyncio.sleep(0.1)
    return msgspec.json.decode(path.read_bytes(), type=list[Allocated])


def by_place(found: Sequence[Allocated]) -> dict[tuple[str, ...], int]:
    sizes: dict[tuple[str, ...], int] = {}
    for one in found:
        # Outermost first, as tracemalloc tells it.
        place = tuple(reversed(one.at))
        sizes[place] = sizes.get(place, 0) + one.bytes
    return sizes


def part_of(place: Sequence[str]) -> str:
    for frame in place:
        for part, paths in PARTS:
            if any(path in frame for path in paths):
                return part
    return "uvloop, asyncio and all else"


def short(place: Sequence[str]) -> str:
    return " < ".join("/".join(frame.rsplit("/", 2)[-2:]) for frame in place[:2])


SCENARIO = Scenario(
    name="idle_memory",
    title="Idle connections",
    about="Memory of a hub process (PSS) by the number of its authenticated, idle connections.",
    figures=[
        Figure("a connection", "KB", goal=14.0),
        Figure("one more", "KB"),
        Figure("the kernel, both ends", "KB", better="", chart="kernel"),
    ],
    measure=measure,
    sizes="connections",
    full={"connections": 15_000, "conversations": 20, "members": 20, "steps": 5, "traced": 500, "lines": 40},
    quick={"connections": 2_000, "steps": 2},
)

if __name__ == "__main__":
    main(SCENARIO)
