"""`doctor`: looks at everything a deployment needs and says what is wrong, why it matters and what to type."""

import asyncio
import json
import resource
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import aiohttp

from chat.cli.configuring import check_all
from chat.cli.loading import base_url, load_running
from chat.cli.outcome import EXIT_ERROR, EXIT_OK, colored, put, put_json
from chat.config import Config, ConfigError, Layer, Loaded
from chat.config.checks import remarks
from chat.config.render import shown
from chat.config.schema import LogSection
from chat.config.values import MASK

_CHECK_TIMEOUT_S: Final = 4.0
_ENOUGH_FILES: Final = 8192
_CERTIFICATE_DAYS: Final = 14
_COLORS: Final = {"ok": "green", "warning": "yellow", "problem": "red"}


class Severity(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was found, `why` it matters, and the `command` or change that helps (both empty when all is well)."""

    severity: Severity
    what: str
    why: str = ""
    command: str = ""


def doctor(config: Path | None, *, url: str | None, as_json: bool) -> int:
    """Print the findings. Returns the exit code: 1 if there is a problem."""
    findings = examine(config, url=url)
    for finding in findings:
        if as_json:
            put_json(asdict(finding))
        else:
            _print(finding)
    return EXIT_ERROR if any(one.severity is Severity.PROBLEM for one in findings) else EXIT_OK


def examine(path: Path | None, *, url: str | None = None) -> list[Finding]:
    """Look at everything. Takes a few seconds at most, whatever is away."""
    try:
        loaded = load_running(path)
    except ConfigError as error:
        return [
            _wrong(str(problem), "nothing starts with it", "hubbub config show --origin") for problem in error.problems
        ]
    findings = [Finding(Severity.OK, "the configuration can be read")]
    findings += _configuration(loaded)
    findings += _files(loaded)
    findings += _certificate(loaded.config)
    findings += _open_files()
    findings += asyncio.run(_servers(loaded.config, base_url(loaded.config, url), by_name=bool(url)))
    return findings


def _configuration(loaded: Loaded) -> Iterator[Finding]:
    for problem in check_all(loaded):
        if problem.key:
            yield _wrong(str(problem), "serve does not start with it", "hubbub check-config")
    for remark in remarks(loaded.config):
        yield Finding(Severity.WARNING, str(remark), "it may not be what was meant", "see docs/configuration.md")


def _files(loaded: Loaded) -> Iterator[Finding]:
    """Files with secrets that others on this machine can read."""
    files = {loaded.origins[path].where for path in _secrets(loaded) if loaded.origins[path].layer is Layer.FILE}
    for name in sorted(files):
        mode = stat.S_IMODE(Path(name).stat().st_mode)
        if mode & 0o077:
            yield _wrong(f"{name} has secrets and mode {mode:04o}", "others here can read it", f"chmod 600 {name}")


def _certificate(config: Config) -> Iterator[Finding]:
    """How long the server's certificate is good. That it can be shown at all was looked at before."""
    from chat.serving.tls import Certificate, TlsUnusable, days_left

    if not config.server.tls.certificate:
        return
    try:
        days = days_left(Certificate(config.server.tls))
    except TlsUnusable:
        return
    said = f"the certificate {config.server.tls.certificate}"
    help_ = "renew it: a new file is loaded within seconds, or at once by kill -HUP"
    if days < 0:
        yield _wrong(f"{said} has expired", "every client refuses it", help_)
    elif days < _CERTIFICATE_DAYS:
        yield Finding(Severity.WARNING, f"{said} expires in {days:.0f} days", "then every client refuses it", help_)
    else:
        yield Finding(Severity.OK, f"{said} is good for {days:.0f} days")


def _secrets(loaded: Loaded) -> Iterator[str]:
    """The keys whose values in force are not shown as they are."""
    for path, entry in shown(loaded).items():
        if MASK in json.dumps(entry["value"]):
            yield path


def _open_files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _ENOUGH_FILES:
        yield Finding(
            Severity.WARNING,
            f"a process may open {soft} files",
            "each connection is one",
            f"ulimit -n {hard if hard != resource.RLIM_INFINITY else 1_048_576} (or LimitNOFILE= in the systemd unit)",
        )
    else:
        yield Finding(
            Severity.OK, f"a process may open {soft if soft != resource.RLIM_INFINITY else 'any number of'} files"
        )


async def _servers(config: Config, url: str, *, by_name: bool) -> list[Finding]:
    from chat.cli.logs import configure_logs

    configure_logs(LogSection(level="error"))  # what else is found, the findings say
    redis = [_redis(one.reveal(), one.masked) for one in config.redis.urls]
    others = asyncio.gather(*redis, _uploads(config), _hub(url, by_name=by_name or bool(config.server.public_url)))
    return [*await _mongodb(config), *await others]


async def _mongodb(config: Config) -> list[Finding]:
    from storage.errors import NotMigrated, StorageError
    from storage.mongo.advice import advise, ask
    from storage.mongo.client import connect
    from storage.mongo.migrate import verify

    where = f"MongoDB at {config.mongodb.url.masked}"
    try:
        async with (
            asyncio.timeout(_CHECK_TIMEOUT_S),
            connect(config.mongodb.url.reveal(), config.mongodb.database, app_name="hubbub-doctor") as database,
        ):
            await verify(database)
            advised = [Finding(Severity.WARNING, one.what, one.why, one.command) for one in advise(await ask(database))]
    except NotMigrated as error:
        return [_wrong(f"{where}: {'; '.join(error.missing)}", "serve does not start before", "hubbub migrate")]
    except (StorageError, TimeoutError, ValueError) as error:
        why = "nothing can be stored; readers and senders get temporary errors"
        return [_wrong(f"{where} does not answer: {_told(error)}", why, "set MONGODB_URL, or: hubbub dev")]
    return [Finding(Severity.OK, f"{where} answers, database {config.mongodb.database} is migrated"), *advised]


async def _redis(url: str, shown: str) -> Finding:
    from realtime.redis.address import parse_address
    from realtime.redis.connection import dial

    where = f"Redis at {shown}"
    try:
        connection = await dial(parse_address(url), _Deaf(), client_name="hubbub-doctor", timeout_s=_CHECK_TIMEOUT_S)
    except (OSError, ValueError) as error:
        why = "messages are stored and delivered, more slowly; events between processes and presence are missing"
        return _wrong(f"{where} does not answer: {_told(error)}", why, "set REDIS_URL, or: hubbub dev")
    connection.abort("done")
    return Finding(Severity.OK, f"{where} answers")


async def _uploads(config: Config) -> Finding:
    from chat.files.opening import FilesUnusable, open_files
    from chat.usecases.files import FilesAway

    if config.uploads.store == "off":
        return Finding(Severity.OK, "uploads are off")
    where = _upload_store(config)
    why = "files cannot be attached to messages"
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S), open_files(config) as files:
            await files.probe()
    except FilesUnusable as error:
        return Finding(
            Severity.WARNING, str(error), why, 'hubbub keys makes one; uploads.store = "off" says it is meant'
        )
    except (FilesAway, TimeoutError) as error:
        help_ = "make it writable, or set uploads.directory"
        if config.uploads.store == "s3":
            help_ = "check uploads.s3.*, and that the key may put, get and delete there"
        return _wrong(f"{where} cannot be written: {_told(error)}", why, help_)
    return Finding(Severity.OK, f"{where} can be written")


def _upload_store(config: Config) -> str:
    if config.uploads.store == "s3":
        return f"the bucket {config.uploads.s3.bucket} at {config.uploads.s3.endpoint}"
    return f"the directory of uploads {Path(config.uploads.directory).absolute()}"


async def _hub(url: str, *, by_name: bool) -> Finding:
    """`by_name`: the URL has the name that the certificate is for, and not only the address on this machine."""
    timeout = aiohttp.ClientTimeout(total=_CHECK_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=by_name)) as session,
            session.get(f"{url}/readyz") as response,
        ):
            document: object = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return Finding(
            Severity.WARNING,
            f"no server answers at {url} ({type(error).__name__})",
            "nobody can connect",
            "hubbub serve",
        )
    status = document.get("status") if isinstance(document, Mapping) else None
    reasons = ", ".join(map(str, document.get("reasons", ()))) if isinstance(document, Mapping) else ""
    if status == "ok":
        return Finding(Severity.OK, f"a server answers at {url} and is ready")
    if status == "degraded":
        return Finding(
            Severity.WARNING, f"the server at {url} is degraded: {reasons}", "delivery is slower", "see above"
        )
    return _wrong(f"the server at {url} is not ready: {reasons or response.status}", "it gets no traffic", "see above")


def _told(error: Exception) -> str:
    return str(error) or "timed out"


class _Deaf:
    """Wants nothing from a connection but that it was greeted."""

    def on_replies(self, next_reply: Callable[[], object]) -> None:
        while next_reply() is not False:
            pass

    def on_writable(self) -> None:
        pass


def _wrong(what: str, why: str, command: str) -> Finding:
    return Finding(Severity.PROBLEM, what, why, command)


def _print(finding: Finding) -> None:
    put(f"{colored(f'{finding.severity:8}', _COLORS[finding.severity])} {finding.what}")
    if finding.why:
        put(f"{'':8} why:  {finding.why}")
        put(f"{'':8} help: {finding.command}")
