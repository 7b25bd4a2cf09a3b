"""`push app add|list|remove` and `push check`: the credentials of apps, and whether their providers take them."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from chat.cli.loading import load_running
from chat.cli.outcome import EXIT_CONFIG, EXIT_OK, EXIT_USAGE, Failed, Unreachable, put, put_json, say
from chat.push.apps import Apps
from chat.push.credentials import AppKey, BadCredentials, Credentials, checked, provider_of
from chat.push.senders import Opener
from chat.push.sending import Accepted, CredentialsAtFault, Environment, Provider, Verdict
from chat.push.vendors import VendorSettings, open_vendors, vendors_of
from storage.errors import LimitReached, NotMigrated, StorageError, Unavailable
from storage.model.push_app import PushApp

MAX_FILE_BYTES: Final = 64 * 1024
APP: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")

_FLAGS: Final = {
    "account": "--account",
    "key_id": "--key-id",
    "origins": "--origin",
    "private": "--private-key",
    "private_key": "--private-key",
    "secret": "--secret",
    "subject": "--subject",
    "team": "--team",
    "topic": "--topic",
    "url": "--url",
}


class Vendors(Protocol):
    """Opens what senders are opened by: the providers themselves, or emulators."""

    def __call__(self, settings: VendorSettings) -> AbstractAsyncContextManager[Mapping[Provider, Opener]]: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """What a provider said of a key."""

    key: AppKey
    environment: Environment
    verdict: Verdict

    @property
    def good(self) -> bool:
        return isinstance(self.verdict, Accepted)

    @property
    def says(self) -> str:
        match self.verdict:
            case Accepted():
                return "good"
            case CredentialsAtFault(reason):
                return f"at fault: {reason}"
            case other:
                return f"not known: {getattr(other, 'reason', '')}"


def read_secret(path: Path | None, flag: str) -> str:
    """A file with a secret; `-` is stdin. Raises Failed."""
    if path is None:
        raise Failed(f"{flag} is required: a file, or - for stdin", EXIT_USAGE)
    try:
        text = sys.stdin.read(MAX_FILE_BYTES + 1) if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise Failed(f"{flag}: {path}: {reason}", EXIT_USAGE) from None
    if len(text) > MAX_FILE_BYTES:
        raise Failed(f"{flag}: {path} has more than {MAX_FILE_BYTES} bytes: that is no key", EXIT_USAGE)
    return text


def add(
    config: Path | None,
    app: str,
    credentials: Credentials,
    *,
    ask: bool,
    as_json: bool,
    vendors: Vendors = open_vendors,
) -> None:
    """Keep a key. With `ask` only if the provider does not say that it is at fault."""
    if not APP.fullmatch(app):
        raise Failed("APP: is 1 to 128 letters, digits, dots, dashes and underscores", EXIT_USAGE)
    try:
        name, about = checked(credentials)
    except BadCredentials as error:
        raise Failed(f"{_FLAGS.get(error.field, error.field)}: {error.rule}", EXIT_USAGE) from None
    key = AppKey(provider_of(credentials), app, name, credentials, 0)
    asyncio.run(_add(config, key, ask=ask, vendors=vendors))
    if as_json:
        put_json({"provider": key.provider.value, "app": app, "key": name, **about})
    else:
        put(f"{key.provider.value} {app} {name}")
        if "public" in about:
            say(f"browsers subscribe with the public key {about['public']}")
        say("servers and workers use it within seconds")


def remove(config: Path | None, provider: Provider, app: str, name: str) -> None:
    """Forget a key."""

    async def run() -> bool:
        async with _opened(config) as (apps, _):
            return await apps.remove(provider, app, name)

    if not asyncio.run(run()):
        raise Failed(f"there is no key {name!r} of {app!r} with {provider.value}; hubbub push app list")
    say("removed; workers stop to use it within seconds")


def show(config: Path | None, *, as_json: bool) -> None:
    """The keys there are, without what is secret."""

    async def run() -> list[PushApp]:
        async with _opened(config) as (apps, _):
            return await apps.rows()

    for key in asyncio.run(run()):
        if as_json:
            shown = {"provider": key.provider, "app": key.app, "key": key.name, "created_at": key.created_at}
            put_json({**shown, **key.about})
        else:
            put(" ".join([key.provider, key.app, key.name, *(f"{what}={it}" for what, it in key.about.items())]))


def check(config: Path | None, *, app: str | None, as_json: bool, vendors: Vendors = open_vendors) -> int:
    """Ask each provider of each key. Returns the exit code: 1 unless all are good."""

    async def run() -> list[Checked]:
        async with _opened(config) as (apps, settings):
            await apps.look()
            keys = [key for key in apps.all() if app is None or key.app == app]
            return await _ask(keys, vendors, settings)

    found = asyncio.run(run())
    if not found:
        raise Failed("there is nothing to check: hubbub push app add", EXIT_CONFIG)
    for one in found:
        if as_json:
            put_json(
                {
                    "provider": one.key.provider.value,
                    "app": one.key.app,
                    "key": one.key.name,
                    "environment": one.environment,
                    "good": one.good,
                    "says": one.says,
                }
            )
        else:
            put(f"{one.key.provider.value} {one.key.app} {one.key.name} {one.environment}: {one.says}")
    return EXIT_OK if all(one.good for one in found) else 1


async def _add(config: Path | None, key: AppKey, *, ask: bool, vendors: Vendors) -> None:
    async with _opened(config) as (apps, settings):
        for one in await _ask([key], vendors, settings) if ask else ():
            if isinstance(one.verdict, CredentialsAtFault) and not _is_other_world(one):
                raise Failed(
                    f"{key.provider.value} says that the key is {one.says} ({one.environment}); nothing was kept."
                    "\nIf you know better: --no-check"
                )
            if not one.good:
                say(f"could not be checked ({one.environment}), {one.says}; hubbub push check")
        await apps.add(key.app, key.credentials)


def _is_other_world(checked_one: Checked) -> bool:
    """A key that is for one environment of APNs is no worse for being refused in the other."""
    reason = getattr(checked_one.verdict, "reason", "")
    return reason.startswith("BadEnvironment")


async def _ask(keys: list[AppKey], vendors: Vendors, settings: VendorSettings) -> list[Checked]:
    async def ask(opener: Opener, key: AppKey, environment: Environment) -> Checked:
        try:
            async with opener((key,), environment) as sender:
                return Checked(key, environment, await sender.check())
        except ValueError as error:
            return Checked(key, environment, CredentialsAtFault(str(error)))

    async with vendors(settings) as openers:
        some = [
            ask(openers[key.provider], key, environment)
            for key in keys
            if key.provider in openers
            for environment in key.environments
        ]
        return list(await asyncio.gather(*some))


@asynccontextmanager
async def _opened(config: Path | None) -> AsyncIterator[tuple[Apps, VendorSettings]]:
    """The credentials in the database of this configuration, and how their providers are asked. Raises Failed for what
    can be said in a sentence.
    """
    from chat.cli.logs import configure_logs
    from chat.control.proving import prove
    from chat.sealing import Sealer, SealingError
    from storage.store import open_store

    loaded = load_running(config).config
    configure_logs(loaded.log)
    sealer = Sealer.from_config(loaded)
    try:
        store_open = open_store(loaded.mongodb.url.reveal(), loaded.mongodb.database, app_name="hubbub-push")
        async with store_open as store:
            await prove(store, sealer)
            apps = Apps(store, sealer, clock_ms=lambda: time.time_ns() // 1_000_000)
            yield apps, vendors_of(loaded.push)
    except (LimitReached, SealingError) as error:
        raise Failed(str(error), EXIT_CONFIG) from error
    except NotMigrated as error:
        raise Failed(str(error), EXIT_CONFIG) from error
    except Unavailable as error:
        raise Unreachable(f"{error} (mongodb.url)") from error
    except StorageError as error:
        raise Failed(f"{error} (mongodb.url)", EXIT_CONFIG) from error
