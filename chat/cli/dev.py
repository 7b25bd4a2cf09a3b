"""`hubbub dev`: a whole deployment on one machine, with real servers as child processes, in one command.

The processes are those of production (`hubbub serve`, `hubbub worker`) and read one configuration file that is made
here; nothing in them knows that this command exists, but for the demo users.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp

from chat.admin.links import mint as admin_link
from chat.auth.admin_secret import admin_secret
from chat.auth.mint import connection_token
from chat.cli.dev_config import as_file, child_environment, effective, is_given
from chat.cli.dev_data import prepared
from chat.cli.dev_keys import Keys, KeysUnusable, keys_in, write_private
from chat.cli.dev_phones import demo_phones, registered
from chat.cli.dev_screen import ForPeople, ForPrograms, Ready, Screen
from chat.cli.loading import base_url
from chat.cli.logs import configure_logs
from chat.cli.outcome import EXIT_CONFIG, EXIT_ERROR, EXIT_OK
from chat.cli.ports import PortUnusable, reserved
from chat.cli.supervise import FATAL_EXIT_CODES, SELF, stop
from chat.config import Config, ConfigError, Loaded, locate
from chat.push.lab.whereabouts import LAB_VARIABLE
from chat.sealing import SealingError
from chat.seed import USERS
from chat.serving.signals import Stopping
from storage.errors import StorageError
from storage.local.children import ChildFailed, Command, Service
from storage.local.directory import DirectoryUnusable
from storage.local.restarts import BackOff, Event, GaveUp, start_all, watched
from storage.local.servers import LocalServers, local_servers

DEFAULT_DATA: Final = Path(".hubbub")
DEMO_VARIABLE: Final = "HUBBUB_DEMO"
"""Tells the hub that demo users exist and the playground may sign in as them."""

_TOKEN_TTL_S: Final = 30 * 86_400.0
_READY_WITHIN_S: Final = 60.0
_READY_POLL_S: Final = 0.05
_READY_ANSWER_S: Final = 2.0
_CHILD_GRACE_S: Final = 10.0
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_NO_KEYS: Final = Keys(token="-" * 64, api="-" * 64, admin="-" * 64, sealing=f"none:{'A' * 43}")


@dataclass(frozen=True, slots=True)
class Options:
    """The flags of the command. `config` is the user's file; `flags` are configuration keys given as flags."""

    host: str | None = None
    port: int | None = None
    data: Path = DEFAULT_DATA
    ephemeral: bool = False
    json: bool = False
    config: Path | None = None
    phones: bool = True

    @property
    def flags(self) -> dict[str, object]:
        given: dict[str, object] = {}
        if self.host is not None:
            given["server.host"] = self.host
        if self.port is not None:
            given["server.port"] = self.port
        return given


def run(options: Options, environ: Mapping[str, str] | None = None) -> int:
    """Run until a signal; returns the exit code. Everything that was started is gone then."""
    screen: Screen = ForPrograms() if options.json else ForPeople()
    try:
        with _data_directory(options) as data:
            asyncio.run(_until_signal(options, data, os.environ if environ is None else environ, screen))
    except ConfigError as error:
        for problem in error.problems:
            screen.failed(str(problem))
        return EXIT_CONFIG
    except (ChildFailed, GaveUp) as error:
        screen.failed(str(error), error.last_lines)
        return EXIT_ERROR
    except (DirectoryUnusable, KeysUnusable, PortUnusable, SealingError, StorageError) as error:
        screen.failed(str(error))
        return EXIT_ERROR
    except OSError as error:
        screen.failed(f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error))
        return EXIT_ERROR
    return EXIT_OK


@contextmanager
def _data_directory(options: Options) -> Iterator[Path]:
    if not options.ephemeral:
        yield options.data
        return
    directory = Path(tempfile.mkdtemp(prefix="hubbub-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _until_signal(options: Options, data: Path, environ: Mapping[str, str], screen: Screen) -> None:
    """Run the deployment as a task, which a signal cancels wherever it is; its own blocks clean up."""
    async with Stopping().listening() as stopping:
        deployment = asyncio.create_task(_deployment(options, data, environ, screen, stopping))
        asked = asyncio.create_task(stopping.asked.wait())
        try:
            await asyncio.wait({deployment, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not deployment.done():
                screen.stopping()
                deployment.cancel()
                await asyncio.wait({deployment})
            if not deployment.cancelled():
                deployment.result()
        finally:
            asked.cancel()


async def _deployment(
    options: Options, data: Path, environ: Mapping[str, str], screen: Screen, stopping: Stopping
) -> None:
    user_file = locate(options.config, environ, Path.cwd())
    wanted = effective(user_file, environ, options.flags, _NO_KEYS)  # is it sound? before anything is started
    configure_logs(wanted.config.log)
    with reserved(wanted.config.server.host, wanted.config.server.port) as port:  # 0 becomes a free one
        flags = {**options.flags, "server.port": port}
    async with local_servers(
        data,
        on_event=screen.event,
        ephemeral=options.ephemeral,
        mongodb_url=wanted.config.mongodb.url.reveal() if is_given(wanted, "mongodb.url") else "",
        redis_url=wanted.config.redis.urls[0].reveal() if is_given(wanted, "redis.urls") else "",
    ) as servers:
        found: dict[str, object] = {
            "mongodb.url": servers.mongodb_url,
            "redis.urls": [servers.redis_url],
            "uploads.directory": _uploads(data),
            # On the loopback interface an insecure option is a test, not an accident.
            "server.allow_insecure_options": wanted.config.server.host in _LOOPBACK,
        }
        loaded = effective(user_file, environ, flags, _keys(data, screen), found)
        config_file = _written(loaded, data)
        screen.step("database", await prepared(loaded.config))
        # The hub and the worker are one node: `/metrics` of the hub shows both.
        shared = {**child_environment(environ, config_file), "HUBBUB_RUN_DIR": str(config_file.parent / "run")}
        async with AsyncExitStack() as stack:
            if options.phones:
                lab, lab_file = await stack.enter_async_context(demo_phones(loaded.config, config_file.parent))
                shared[LAB_VARIABLE] = str(lab_file)
                screen.step("phones", ", ".join(phone.name for phone in lab.phones.all))
            else:
                await registered(loaded.config, None)
            commands = _commands(shared, data if options.ephemeral else None)
            running = _running(commands, _local_url(loaded.config), screen, stopping)
            processes = await stack.enter_async_context(running)
            screen.ready(_ready(loaded.config, servers, processes, data, options))
            await asyncio.Event().wait()


def _uploads(data: Path) -> str:
    return str(data.absolute() / "uploads")


def _written(loaded: Loaded, data: Path) -> Path:
    """Write what the processes read; returns the file."""
    path = data.absolute() / "config.toml"
    write_private(path, as_file(loaded, path))
    (data / ".gitignore").write_text("*\n", encoding="utf-8")
    return path


def _keys(data: Path, screen: Screen) -> Keys:
    path = data / "keys.json"
    try:
        keys, new = keys_in(path)
    except OSError as error:
        raise KeysUnusable(f"cannot write {path}: {error.strerror}") from error
    screen.step("keys", f"{path} {'made' if new else 'used again'} (0600)")
    return keys


def _commands(environment: Mapping[str, str], remove_if_orphaned: Path | None) -> tuple[Command, Command]:
    """The hub and the worker."""
    hub = Command(
        "hub",
        (*SELF, "serve", "--workers", "1"),
        environment={**environment, DEMO_VARIABLE: "1", "HUBBUB_SLOT": "0"},
        grace_s=_CHILD_GRACE_S,
        remove_if_orphaned=remove_if_orphaned,
    )
    worker = replace(hub, name="worker", argv=(*SELF, "worker"), environment={**environment, "HUBBUB_SLOT": "worker"})
    return hub, worker


@asynccontextmanager
async def _running(
    commands: tuple[Command, Command], url: str, screen: Screen, stopping: Stopping
) -> AsyncIterator[dict[str, Service]]:
    """The hub and the worker, watched; both are gone at the end."""
    hub, worker = commands
    services = {
        "hub": Service(hub, lambda: _is_ready(url), ready_within_s=_READY_WITHIN_S),
        "worker": Service(worker),
    }
    await start_all(services.values())
    try:
        for name, service in services.items():
            screen.event(Event("ready", name, service.pid))
        async with watched(services.values(), screen.event, back_off=_never_give_up):
            yield services
    finally:
        await stop(list(services.values()), stopping)


async def _is_ready(url: str) -> None:
    """Return once the hub says that it is ready. The caller has the deadline."""
    timeout = aiohttp.ClientTimeout(total=_READY_ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(f"{url}/readyz") as response:
                    if response.ok:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_READY_POLL_S)


def _never_give_up() -> BackOff:
    """Who changes the code or kills processes on purpose wants to go on; a wrong configuration stays wrong."""
    return BackOff(give_up_on=FATAL_EXIT_CODES)


def _local_url(config: Config) -> str:
    """Where this machine reaches the hub, whatever its public URL."""
    return base_url(replace(config, server=replace(config.server, public_url="")))


def _ready(
    config: Config, servers: LocalServers, processes: Mapping[str, Service], data: Path, options: Options
) -> Ready:
    http = base_url(config)
    now_s = time.time()
    tokens = {
        user: connection_token(
            user,
            config.token.hmac_secret_key,
            now_s=now_s,
            ttl_s=_TOKEN_TTL_S,
            algorithm=config.token.hmac_algorithm,
        )
        for user in USERS
    }
    admin = ""
    if config.admin.enabled:
        link = admin_link(admin_secret(config), int(now_s * 1000), ttl_s=config.admin.link_ttl)
        admin = f"{http}/admin/login#{link}"
    return Ready(
        http=http,
        websocket=f"ws{http.removeprefix('http')}/connection/websocket",
        admin=admin,
        play=f"{http}/play?as={next(iter(USERS))}",
        phones=f"{http}/play/phones" if options.phones else "",
        docs=f"{http}/docs",
        api_key=config.api.key.reveal(),
        tokens=tokens,
        mongodb_url=servers.mongodb_url,
        redis_url=servers.redis_url,
        pids={name: service.pid for name, service in processes.items()} | servers.pids,
        data=str(data),
        stays=not options.ephemeral,
        open_to_others=config.server.host not in _LOOPBACK,
    )
