"""What push is measured on: MongoDB, Redis, a hub, one worker and the vendors' emulators, each a process of its own."""

import asyncio
import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench.local import UNLIMITED
from bench.reconnect_storm import Api, free_port, until_ready
from bench.sender import cpu_s
from chat.config import Config, load
from chat.control.proving import prove
from chat.push.apps import Apps
from chat.push.credentials import Credentials, opened
from chat.push.lab.whereabouts import LAB_VARIABLE, Whereabouts, whereabouts
from chat.push.ports import lane_name, lane_of
from chat.sealing import Sealer, new_key
from storage.local.servers import local_servers
from storage.model.device import Device, DeviceKeys
from storage.model.push import Doubt
from storage.mongo.client import Database, connect
from storage.mongo.migrate import migrate
from storage.mongo.schema import PUSH_JOBS, PUSH_TRACES
from storage.store import Store, open_store

PROVIDERS: Final = ("apns", "fcm", "webpush", "webhook")
APP: Final = "bench"
LIFE_MS: Final = 4 * 3_600_000
AT_ONCE: Final = 16
_COMMANDS: Final = ("aggregate", "count", "delete", "find", "findAndModify", "insert", "update")
_LONGEST_LINE: Final = 64 * 1024 * 1024


class LabProcess:
    """`bench.push_lab`, asked over its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(orjson.dumps({"do": do, **more}) + b"\n")
            return orjson.loads(await self._process.stdout.readline())


@asynccontextmanager
async def lab_process(file: Path) -> AsyncIterator[LabProcess]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.push_lab", str(file)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not await process.stdout.readline():
            raise SystemExit("the emulators did not start")
        yield LabProcess(process)
    finally:
        process.stdin.close()
        await process.wait()


@dataclass(frozen=True)
class Reached:
    """A user's device, and the conversation in which the user has one unread message. `number`: as the lab counts."""

    device: Device
    number: int
    conversation: str
    offset: int


class Scene:
    """A running deployment, with what is needed to make jobs and to see them arrive."""

    def __init__(
        self, config: Config, store: Store, db: Database, lab: LabProcess, api: Api, pids: dict[str, int], where: Path
    ) -> None:
        self.config = config
        self.store = store
        self.lab = lab
        self.api = api
        self.pids = {**pids, "emulators": lab.pid}
        self.apps = Apps(store, Sealer.from_config(config), clock_ms=now_ms)
        self.db = db
        self._where = where

    @property
    def whereabouts(self) -> Whereabouts:
        found = whereabouts({LAB_VARIABLE: str(self._where)})
        assert found is not None
        return found

    async def credentials(self, provider: str) -> Credentials:
        return opened(provider, orjson.dumps((await self.lab.ask("credentials"))[provider]))

    async def conversations(self, names: Sequence[str]) -> list[tuple[str, str, int]]:
        """A direct conversation of each, in which somebody has said something: (user, conversation, offset)."""

        async def make(user: str) -> tuple[str, str, int]:
            peer = f"from-{user}"
            made = await self.api(peer, "conversation.create", kind="direct", members=[user])
            conversation = made["conversation"]["id"]
            message = await self.say(peer, conversation)
            return user, conversation, message["offset"]

        return list(await asyncio.gather(*(make(user) for user in names)))

    async def say(self, by: str, conversation: str) -> dict[str, Any]:
        """The message as the hub has inserted it."""
        key = f"{time.time_ns()}"
        sent = await self.api(by, "message.send", conversation=conversation, idempotency_key=key, text="Are you there?")
        message: dict[str, Any] = sent["message"]
        return message

    async def devices(
        self, provider: str, places: Sequence[tuple[str, str, int]], *, app: str = APP, install: str = ""
    ) -> list[Reached]:
        """A device of each user with that provider."""
        made = await self.lab.ask("register", provider=provider, count=len(places))
        turn = asyncio.Semaphore(AT_ONCE)

        async def register(user: str, conversation: str, offset: int, to: dict[str, Any]) -> Reached:
            keys = DeviceKeys(unpacked(to["p256dh"]), unpacked(to["auth"])) if "auth" in to else None
            device = Device(
                user,
                install or provider,
                provider,  # type: ignore[arg-type]
                app,
                to["address"],
                to["kind"],
                now_ms(),
                now_ms(),
                keys=keys,
                vapid_key=to.get("vapid_key", ""),
            )
            async with turn:
                await self.store.devices.register(device)
            return Reached(device, to["number"], conversation, offset)

        return list(await asyncio.gather(*(register(*place, to) for place, to in zip(places, made, strict=True))))

    async def clear(self) -> None:
        """No jobs, and nothing that was decided or has arrived."""
        await self.db[PUSH_JOBS].delete_many({})
        await self.db[PUSH_TRACES].delete_many({})
        await self.lab.ask("take")

    async def put(self, reached: Sequence[Reached], due_at: Sequence[int]) -> None:
        """A job for each, as the planner makes them."""
        doubts = [
            Doubt(
                one.device.id,
                one.device.user,
                one.conversation,
                lane_name(lane_of(one.device)),
                one.offset,
                one.offset,
                at,
                at + LIFE_MS,
            )
            for one, at in zip(reached, due_at, strict=True)
        ]
        await self.store.push_jobs.put(doubts, now=now_ms())

    async def arrived(self, provider: str, count: int, *, within_s: float) -> dict[int, float]:
        """When (s) each device first got something, once as many did or time is over."""
        until = time.monotonic() + within_s
        while time.monotonic() < until and (await self.lab.ask("counts")).get(provider, 0) < count:
            await asyncio.sleep(0.05)
        first: dict[int, float] = {}
        for brought, number, at in await self.lab.ask("take"):
            if brought == provider:
                first.setdefault(number, at)
        return first

    async def commands(self) -> int:
        """How many reads and writes MongoDB was asked for, by anybody; those that wait for news left out."""
        counted = (await self.db.command("serverStatus"))["metrics"]["commands"]
        return sum(int(counted[name]["total"]) for name in _COMMANDS)

    def cpu(self) -> dict[str, float]:
        """Seconds that each process has used."""
        return {name: cpu_s(pid) for name, pid in self.pids.items()}


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """Everything started, and gone afterwards. The app of each provider is set up."""
    with tempfile.TemporaryDirectory(prefix="hubbub-bench-", ignore_cleanup_errors=True) as directory:
        data = Path(directory)
        where, port = data / "lab.json", free_port()
        async with lab_process(where) as lab, local_servers(data / "servers", on_event=lambda _: None) as servers:
            file = data / "config.toml"
            file.write_text(configuration(data, servers.mongodb_url, servers.redis_url, port))
            config = load(file, {}).config
            async with connect(config.mongodb.url.reveal(), config.mongodb.database) as db:
                await migrate(db)
                async with open_store(config.mongodb.url.reveal(), config.mongodb.database) as store:
                    await prove(store, Sealer.from_config(config))
                    async with aiohttp.ClientSession(
                        f"http://127.0.0.1:{port}", headers={"X-API-Key": config.api.key.reveal()}
                    ) as http:
                        api = Api(http)
                        with process(data, "serve", where) as hub:
                            await until_ready(port)
                            made = Scene(config, store, db, lab, api, {**servers.pids, "hub": hub.pid}, where)
                            for provider in PROVIDERS:
                                await made.apps.add(APP, await made.credentials(provider), emulated=True)
                            with process(data, "worker", where) as worker:
                                made.pids["worker"] = worker.pid
                                yield made


@contextmanager
def process(data: Path, command: str, where: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`hubbub serve` or `hubbub worker`, that sends to the emulators."""
    environment = {**os.environ, **UNLIMITED, LAB_VARIABLE: str(where), "HUBBUB_RUN_DIR": str(data / "run")}
    argv = [sys.executable, *PROFILED.get(command, ()), "-m", "chat", command, "--config", str(data / "config.toml")]
    with (data / f"{command}.log").open("ab") as log:
        started = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
        try:
            yield started
        finally:
            started.terminate()
            started.wait()
            shown = (data / f"{command}.log").read_text()[-4000:]
            if shown:
                print(f"{command} said:\n{shown}", file=sys.stderr)


PROFILED: Final = (
    {"worker": ("-m", "cProfile", "-o", os.environ["BENCH_PROFILE"])} if "BENCH_PROFILE" in os.environ else {}
)
"""BENCH_PROFILE names a file for a profile of the worker."""


def configuration(data: Path, mongodb_url: str, redis_url: str, port: int) -> str:
    return f"""
server.host = "127.0.0.1"
server.port = {port}
mongodb.url = "{mongodb_url}"
redis.urls = ["{redis_url}"]
token.hmac_secret_key = "{os.urandom(32).hex()}"
api.key = "{os.urandom(32).hex()}"
secrets.keys = ["{new_key()}"]
uploads.directory = "{data / "uploads"}"
log.level = "warning"
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
