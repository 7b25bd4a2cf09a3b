"""What SIGHUP puts into force, and what it leaves alone."""

from dataclasses import replace

from structlog.testing import capture_logs

from chat.auth.jwks import KeysUnavailable
from chat.config import Config, ConfigError, Origin, Problem, load
from chat.config.errors import DEFAULT
from chat.config.schema import LogSection
from chat.serving.reloading import TOKENS, Part, Reloader, Source, changes

SECRET = "a-secret-that-is-long-enough-for-every-hmac-that-there-is-today"


def configured(**settings: object) -> Config:
    return load(None, {}, {name.replace("__", "."): value for name, value in settings.items()}).config


class Files:
    """A configuration that can be changed, or be wrong."""

    def __init__(self, config: Config) -> None:
        self.now: Config | ConfigError = config
        self.logs: list[LogSection] = []
        self.tokens: list[str] = []
        self.away = False

    def load(self) -> Config:
        if isinstance(self.now, ConfigError):
            raise self.now
        return self.now

    async def take_tokens(self, config: Config) -> None:
        if self.away:
            raise KeysUnavailable("the key set is away")
        self.tokens.append(config.token.hmac_secret_key.reveal())

    def reloader(self) -> Reloader:
        reloader = Reloader(self.load(), Source(self.load, self.logs.append))
        reloader.add(Part(TOKENS, self.take_tokens))
        return reloader


def test_changes_are_named_by_key_also_in_lists_of_tables() -> None:
    old = configured()
    new = configured(server__port=9000, channel__namespaces=[{"name": "news"}])
    assert set(changes(old, new)) == {"server.port", "channel.namespaces"}
    assert not list(changes(old, configured()))


async def test_keys_and_logs_are_taken_over_and_the_rest_is_named() -> None:
    files = Files(configured())
    reloader = files.reloader()
    files.now = configured(token__hmac_secret_key=SECRET, log__level="debug", server__port=9000)
    with capture_logs() as logs:
        assert await reloader.reload()
    assert files.tokens == [SECRET]
    assert files.logs[-1].level == "debug"
    assert [(line["event"], line.get("changed", line.get("keys"))) for line in logs] == [
        ("reloaded", ["log.level", "token.hmac_secret_key"]),
        ("reload_needs_restart", ["server.port"]),
    ]


async def test_a_wrong_configuration_changes_nothing() -> None:
    files = Files(configured())
    reloader = files.reloader()
    origin: Origin = DEFAULT
    files.now = ConfigError([Problem("server.prot", "unknown key", origin)])
    with capture_logs() as logs:
        assert not await reloader.reload()
    assert (files.tokens, files.logs) == ([], [])
    assert "server.prot" in logs[0]["problems"][0]


async def test_keys_that_are_away_change_nothing_at_all() -> None:
    files = Files(configured())
    reloader = files.reloader()
    files.away = True
    files.now = replace(configured(log__level="debug"))
    with capture_logs() as logs:
        assert not await reloader.reload()
    assert files.logs == [], "the keys are asked first, for this"
    assert logs[0]["event"] == "reload_refused"
    files.away = False
    assert await reloader.reload()
    assert files.logs[-1].level == "debug"
