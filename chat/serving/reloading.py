"""SIGHUP: what may change without a restart is read again, checked as a whole, and only then put into force."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import structlog

from chat.auth.jwks import KeysUnavailable
from chat.auth.verifier import check_keys
from chat.config import Config, ConfigError
from chat.config.keys import describe
from chat.config.schema import LogSection
from chat.serving.tls import TlsUnusable, checked_context

log = structlog.get_logger(__name__)

TOKENS: Final = ("token.", "subscription_token.")
LOGS: Final = ("log.",)
TLS: Final = ("server.tls.certificate", "server.tls.key")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration comes from: `load` reads all layers again and raises ConfigError, `set_logs` takes over
    what concerns them.
    """

    load: Callable[[], Config]
    set_logs: Callable[[LogSection], None]


@dataclass(frozen=True, slots=True)
class Part:
    """What can take over keys while it runs: those that begin with one of `prefixes`. `apply` gets the whole
    configuration after all of it was checked. Raises KeysUnavailable where it cannot be used now.
    """

    prefixes: tuple[str, ...]
    apply: Callable[[Config], Awaitable[None]]


class Reloader:
    """Reloads one at a time; asked meanwhile, once more. Without a source there is nothing to reload from."""

    def __init__(self, config: Config, source: Source | None) -> None:
        self._config = config
        self._source = source
        self._asked = asyncio.Event()
        self._parts: list[Part] = []
        if source is not None:
            self.add(Part(LOGS, self._set_logs))

    def ask(self) -> None:
        """Returns at once; `run` does it."""
        self._asked.set()

    def add(self, part: Part) -> None:
        """What is added last is asked first: it may refuse while nothing has changed yet."""
        self._parts.insert(0, part)

    async def run(self) -> None:
        """Reload whenever it is asked for; until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.reload()
            except Exception:
                # A fault of ours: the next hangup finds somebody who listens all the same.
                log.exception("reload_failed")

    async def reload(self) -> bool:
        """Returns whether the new configuration is in force; if not, the log says why and nothing has changed."""
        if self._source is None:
            log.warning("reload_refused", problems=["nothing to reload from"])
            return False
        # Files are read and keys are parsed: not on the event loop.
        new, problems = await asyncio.to_thread(_checked, self._source)
        if new is None:
            log.error("reload_refused", problems=problems, in_force="the old one")
            return False
        changed = list(changes(self._config, new))
        try:
            # Also where no key has changed: what a file or a key set holds may be another than before.
            for part in self._parts:
                await part.apply(new)
        except (KeysUnavailable, TlsUnusable) as error:
            log.warning("reload_refused", problems=[str(error)], in_force="the old one")
            return False
        prefixes = tuple(prefix for part in self._parts for prefix in part.prefixes)
        taken = sorted(key for key in changed if key.startswith(prefixes))
        self._config = new
        log.info("reloaded", changed=taken)
        if waiting := sorted(set(changed) - set(taken)):
            log.warning("reload_needs_restart", keys=waiting)
        return True

    async def _set_logs(self, new: Config) -> None:
        if self._source is not None:
            self._source.set_logs(new.log)


@asynccontextmanager
async def reloading(config: Config, source: Source | None) -> AsyncIterator[Reloader]:
    """A reloader at work until the block ends."""
    reloader = Reloader(config, source)
    task = asyncio.create_task(reloader.run(), name="reload")
    try:
        yield reloader
    finally:
        task.cancel()


def _checked(source: Source) -> tuple[Config | None, list[str]]:
    """The new configuration, or what is wrong with it."""
    try:
        new = source.load()
        check_keys(new)
        if new.server.tls.certificate:
            checked_context(new.server.tls)
    except ConfigError as error:
        return None, [str(problem) for problem in error.problems]
    except TlsUnusable as error:
        return None, [str(error)]
    return new, []


def changes(old: Config, new: Config) -> Iterator[str]:
    """The dotted keys whose values differ."""
    for key in describe(Config).every_key():
        of = attrgetter(key.path)
        if of(old) != of(new):
            yield key.path
