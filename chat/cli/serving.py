"""`serve`, `worker`, `migrate`: the long-running processes and what must be done before them."""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chat.cli.loading import load_config
from chat.cli.outcome import EXIT_CONFIG, Failed, Unreachable, put, put_json
from chat.cli.servable import unservable
from chat.config import Config, ConfigError, Loaded, refuse_insecure
from storage.errors import NotMigrated, StorageError, Unavailable


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Flags of `serve`; None was not given. `supervised`: started by another `serve`, which holds the port."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    workers: int | None = None
    supervised: bool = False


def serve(options: ServeOptions) -> int:
    """Serve until SIGTERM or SIGINT, as one process or as several. Returns the exit code."""
    from chat import server
    from chat.cli.logs import configure_logs
    from chat.serving.reloading import Source

    flags = {"server.host": options.host, "server.port": options.port, "server.workers": options.workers}

    def load_again() -> Config:
        again = load_config(options.config, flags)
        refuse_insecure(again.config, again.origins)
        return again.config

    config = load_again()
    configure_logs(config.log)
    _refuse_unservable(config)
    source = Source(load_again, configure_logs)
    with _explained():
        if options.supervised:
            return server.main(config, source)
        if config.server.workers == 1:
            _check_port(config)
            return server.main(config, source)
        return _serve_many(config, options)


def work(config: Path | None) -> int:
    """Follow the log until SIGTERM or SIGINT. Returns the exit code."""
    from chat import worker
    from chat.cli.logs import configure_logs
    from chat.serving.reloading import Source

    loaded = load_config(config)
    configure_logs(loaded.config.log)
    _refuse_unservable(loaded.config)
    with _explained():
        return worker.main(loaded.config, Source(lambda: load_config(config).config, configure_logs))


def migrate(config: Path | None, *, check: bool, as_json: bool) -> None:
    """Make the collections and indexes, or only check that they are there."""
    loaded = load_config(config)
    _configure_logs(loaded)
    with _explained():
        epoch = asyncio.run(_migrate(loaded.config, check=check))
    database = loaded.config.mongodb.database
    if as_json:
        put_json({"database": database, "epoch": epoch, "checked": check})
    else:
        put(f"database {database} is {'as it should be' if check else 'migrated'} (epoch {epoch})")


async def _migrate(config: Config, *, check: bool) -> str:
    from storage.mongo import migrate as migrating
    from storage.mongo.client import connect

    async with AsyncExitStack() as stack:
        try:
            connecting = connect(config.mongodb.url.reveal(), config.mongodb.database, app_name="hubbub-migrate")
            database = await stack.enter_async_context(connecting)
        except ValueError as error:
            raise Failed(f"mongodb.url: {error}", EXIT_CONFIG) from error
        return await (migrating.verify(database) if check else migrating.migrate(database))


def _serve_many(config: Config, options: ServeOptions) -> int:
    from chat.cli import supervise

    count = config.server.workers
    with (
        _held_port(config) as port,
        tempfile.TemporaryDirectory(prefix="hubbub-run-", ignore_cleanup_errors=True) as directory,
    ):
        arguments = child_arguments(options, config, port)
        commands = supervise.workers(count, arguments, shutdown_timeout_s=config.server.shutdown_timeout)
        # The processes of a node share their metrics in the directory; the slot is a worker's name that outlives it.
        shared = {**os.environ, "HUBBUB_RUN_DIR": directory}
        return supervise.run(
            replace(command, environment={**shared, "HUBBUB_SLOT": str(slot)}) for slot, command in enumerate(commands)
        )


def child_arguments(options: ServeOptions, config: Config, port: int) -> Sequence[str]:
    """How each of several processes is started: with the flags that were given, and the port that is held for it."""
    file = () if options.config is None else ("--config", str(options.config))
    flags = ("--host", config.server.host, "--port", str(port), "--workers", str(config.server.workers))
    return ("serve", "--supervised", *file, *flags)


def _refuse_unservable(config: Config) -> None:
    """What can never work is not waited for."""
    if problems := list(unservable(config)):
        raise ConfigError(problems)


def _check_port(config: Config) -> None:
    from chat.cli import ports

    try:
        ports.check(config.server.host, config.server.port)
    except ports.PortUnusable as error:
        raise Failed(str(error)) from error


@contextmanager
def _held_port(config: Config) -> Iterator[int]:
    from chat.cli import ports

    try:
        with ports.reserved(config.server.host, config.server.port) as port:
            yield port
    except ports.PortUnusable as error:
        raise Failed(str(error)) from error


def _configure_logs(loaded: Loaded) -> None:
    from chat.cli.logs import configure_logs

    configure_logs(loaded.config.log)


@contextmanager
def _explained() -> Iterator[None]:
    """What the storage says, as the end of a command."""
    try:
        yield
    except NotMigrated as error:
        raise Failed(str(error), EXIT_CONFIG) from error
    except Unavailable as error:
        raise Unreachable(f"{error} (mongodb.url)") from error
    except StorageError as error:
        # Asked for the first time it refused, a password as a rule: it will again.
        raise Failed(f"{error} (mongodb.url)", EXIT_CONFIG) from error
