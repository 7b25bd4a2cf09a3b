"""Layers, origins, and refusals that say key, rule and origin."""

from pathlib import Path

import pytest

from chat.config import Config, ConfigError, Layer, Secret, load, locate
from chat.config.keys import describe


def problems(
    path: Path | None = None, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {}, flags)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_without_any_layer_everything_is_the_default_and_says_so() -> None:
    loaded = load(None, {})
    assert loaded.config == Config()
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}
    assert set(loaded.origins) == {key.path for key in describe(Config).every_key()}


def test_a_later_layer_wins_and_the_origin_is_the_winner(file: Path) -> None:
    def port(**layers: object) -> tuple[int, str]:
        loaded = load(
            file if "file" in layers else None,
            {name: text for name, text in layers.items() if name.isupper() and isinstance(text, str)},
            {"server.port": 5} if "flag" in layers else {},
            presets={"server.port": 1} if "preset" in layers else {},
            presets_name="hubbub dev",
        )
        return loaded.config.server.port, str(loaded.origins["server.port"])

    file.write_text("[server]\nport = 2\n")
    assert port(preset=1) == (1, "preset hubbub dev")
    assert port(preset=1, file=1) == (2, f"file {file}")
    assert port(preset=1, file=1, PORT="3") == (3, "environment PORT")
    assert port(preset=1, file=1, PORT="3", HUBBUB_SERVER__PORT="4") == (4, "environment HUBBUB_SERVER__PORT")
    assert port(preset=1, file=1, PORT="3", HUBBUB_SERVER__PORT="4", flag=1) == (5, "flag --port")


def test_every_key_can_be_given_by_the_environment() -> None:
    for key in describe(Config).every_key():
        name = "HUBBUB_" + key.path.replace(".", "__").upper()
        assert "unknown" not in problems(environ={name: "\x00nonsense", "PORT": "x"})


def test_the_platform_variables_are_read() -> None:
    loaded = load(
        None,
        {
            "MONGODB_URL": "mongodb://u:p@db/?replicaSet=rs",
            "REDIS_URL": "redis://one, redis://two",
            "PORT": "9000",
            "WEB_CONCURRENCY": "4",
        },
    )
    assert loaded.config.mongodb.url.reveal() == "mongodb://u:p@db/?replicaSet=rs"
    assert [url.reveal() for url in loaded.config.redis.urls] == ["redis://one", "redis://two"]
    assert loaded.config.server.port == 9000
    assert loaded.config.server.workers == 4
    assert loaded.origins["redis.urls"].layer is Layer.ENVIRONMENT


def test_what_a_supervisor_tells_its_processes_is_no_key() -> None:
    assert load(None, {"HUBBUB_SLOT": "1", "HUBBUB_RUN_DIR": "/x", "HUBBUB_CONFIG": "/y"}).config == Config()


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load(None, {"PORT": "", "HUBBUB_API__KEY": "", "HUBBUB_NONSENSE": ""}).config == Config()


def test_a_secret_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    loaded = load(None, {"HUBBUB_API__KEY_FILE": str(tmp_path / "key"), "MONGODB_URL_FILE": str(tmp_path / "key")})
    assert loaded.config.api.key == Secret("s3cret")
    assert loaded.config.mongodb.url.reveal() == "s3cret"
    assert str(loaded.origins["api.key"]) == "environment HUBBUB_API__KEY_FILE"


def test_a_secret_given_twice_or_in_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    both = problems(environ={"HUBBUB_API__KEY": "hunter2", "HUBBUB_API__KEY_FILE": str(tmp_path / "key")})
    assert "api.key: is given twice, by HUBBUB_API__KEY and by HUBBUB_API__KEY_FILE" in both
    assert "hunter2" not in both
    assert "s3cret" not in both
    assert "cannot be read: No such file" in problems(environ={"HUBBUB_API__KEY_FILE": str(tmp_path / "missing")})


def test_a_file_for_what_is_no_secret_is_refused() -> None:
    assert "only secrets, URLs and public keys can be in a file" in problems(environ={"HUBBUB_SERVER__PORT_FILE": "/x"})


def test_a_public_key_in_one_line_gets_its_lines_back() -> None:
    loaded = load(
        None, {"HUBBUB_TOKEN__RSA_PUBLIC_KEY": r"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"}
    )
    assert loaded.config.token.rsa_public_key.splitlines() == [
        "-----BEGIN PUBLIC KEY-----",
        "MIIB",
        "-----END PUBLIC KEY-----",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "server.prot: unknown key: did you mean server.port? (file "),
        ("[sever]\nport = 1", "sever.port: unknown key: did you mean server.port? (file "),
        ("allowed_origins = []", "allowed_origins: unknown key: did you mean client.allowed_origins?"),
        ('[client.token]\nhmac_secret_key = "x"', "here it is token.hmac_secret_key"),
        ('[http_api]\nkey = "x"', "here it is api.key"),
        ("[channel.without_namespace]\ndelta_publish = true", "delta compression is not offered"),
        (
            '[engine.redis]\naddress = "redis://x"',
            "engine.redis.address: unknown key: here it is mongodb.url and redis.urls",
        ),
        ('[admin]\npassword = "x"', "sign in with a link from hubbub admin link"),
        ("[completely.unheard]\nof = 1", "completely.unheard.of: unknown key (file "),
        ("server = 3", "server: expected a table"),
    ],
)
def test_an_unknown_key_is_refused_with_what_was_meant(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    assert said in problems(file)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("HUBBUB_SERVER_PORT", "did you mean HUBBUB_SERVER__PORT?"),
        ("HUBBUB_TOKN__ISSUER", "did you mean HUBBUB_TOKEN__ISSUER?"),
        ("HUBBUB_API__KEYS_FILE", "did you mean HUBBUB_API__KEY_FILE?"),
        ("HUBBUB_XYZZY", "unknown variable HUBBUB_XYZZY"),
    ],
)
def test_an_unknown_variable_is_refused_with_what_was_meant(name: str, said: str) -> None:
    assert said in problems(environ={name: "1"})


def test_variables_that_kubernetes_makes_for_a_service_named_hubbub_are_let_be() -> None:
    links = {
        "HUBBUB_PORT": "tcp://10.0.0.7:80",
        "HUBBUB_PORT_80_TCP": "tcp://10.0.0.7:80",
        "HUBBUB_PORT_80_TCP_ADDR": "10.0.0.7",
        "HUBBUB_SERVICE_HOST": "10.0.0.7",
        "HUBBUB_SERVICE_PORT": "80",
        "HUBBUB_SERVICE_PORT_HTTP": "80",
    }
    assert load(None, links).config == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[server]\nport = "8000"', "server.port: expected an integer, got a string (file "),
        ("[server]\nport = 70000", "server.port: must be 0 to 65535 (file "),
        ("[server]\nport = true", "server.port: expected an integer, got true or false"),
        ("[server]\nhost = 1", "server.host: expected a string, got a number"),
        ("[client]\nping_interval = 25", 'client.ping_interval: expected a duration such as "25s", got a number'),
        ('[client]\nping_interval = "25"', "client.ping_interval: expected a duration such as"),
        ('[client]\nping_interval = "1ms"', "client.ping_interval: must be 1s to 10m"),
        ('[client]\nqueue_max_size = "1KiB"', "client.queue_max_size: must be 64KiB or more"),
        ('[client]\ninsecure = "yes"', "client.insecure: expected true or false, got a string"),
        ('[client]\nallowed_origins = "x"', "client.allowed_origins: expected a list of strings, got a string"),
        ('[log]\nlevel = "loud"', 'log.level: expected one of "debug", "info", "warning", "error"'),
        ('[redis]\nprefix = "a b"', "redis.prefix: must match"),
        ("[redis]\nurls = []", "redis.urls: is required"),
        ("[channel]\nnamespaces = {}", "channel.namespaces: expected a list of tables"),
        ("[[channel.namespaces]]\npresence = true", "channel.namespaces[0].name: is required"),
        ('[[channel.namespaces]]\nname = "n"\npresence = 1', "channel.namespaces[n].presence: expected true or false"),
        (
            '[[channel.namespaces]]\nname = "n"\npresense = true',
            "channel.namespaces[n].presense: unknown key: did you mean presence?",
        ),
        ('[[token.keys]]\nkid = "k"\nalgorithm = "none"\nkey = "x"', "token.keys[k].algorithm: expected one of"),
        ("nonsense", "is not TOML"),
    ],
)
def test_a_wrong_value_says_key_rule_and_origin(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    assert said in problems(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[client]\npong_timeout = "25s"', "client.pong_timeout: must be below client.ping_interval (25s)"),
        ('[client]\nframe_max_size = "64KiB"', "client.command_data_max_size: must be below client.frame_max_size"),
        ('[client]\nallowed_origins = ["example.com/x"]', "client.allowed_origins: expected origins such as"),
        ("[channel.without_namespace]\nhistory_size = 1", "channel.without_namespace.history_ttl: history needs"),
        ("[channel.without_namespace]\nforce_recovery = true", "force_recovery: needs history_size and history_ttl"),
        ('[[channel.namespaces]]\nname = "conv"', "channel.namespaces[conv].name: is reserved"),
        (
            '[[channel.namespaces]]\nname = "a"\n[[channel.namespaces]]\nname = "a"',
            "channel.namespaces[a].name: is there twice",
        ),
        ('[token]\nuser_id_pattern = "["', "token.user_id_pattern: is not a regular expression"),
        ('[admin]\nsecret = "short"', "admin.secret: must have at least 16 bytes"),
        ('[token]\nhmac_previous_secret_key = "x"', "needs token.hmac_secret_key"),
        (
            '[client.subscribe_to_user_personal_channel]\npersonal_channel_namespace = "me"',
            "personal_channel_namespace: no such namespace",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    assert said in problems(file)
    assert str(file) in problems(file)


def test_all_problems_are_told_at_once(file: Path) -> None:
    file.write_text("[server]\nport = true\nprot = 1\n")
    assert len(problems(file, {"PORT": "x"}).splitlines()) == 3


def test_no_problem_repeats_the_value_of_a_secret(file: Path) -> None:
    file.write_text('[[token.keys]]\nkid = "k"\nalgorithm = "hunter2"\nkey = 12345\n')
    said = problems(file, {"MONGODB_URL": "", "HUBBUB_TOKEN__KEYS": "hunter2", "HUBBUB_REDIS__URLS": "[hunter2"})
    assert "hunter2" not in said
    assert "12345" not in said


def test_a_missing_or_binary_file_is_one_clear_line(tmp_path: Path) -> None:
    assert "cannot be read: No such file or directory" in problems(tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in problems(tmp_path / "binary.toml")


def test_namespaces_can_be_given_as_json() -> None:
    rows = '[{"name": "news", "presence": true, "history_size": 100, "history_ttl": "5m", "force_recovery": true}]'
    (news,) = load(None, {"HUBBUB_CHANNEL__NAMESPACES": rows}).config.channel.namespaces
    assert (news.name, news.presence, news.history_size, news.history_ttl, news.join_leave) == (
        "news",
        True,
        100,
        300.0,
        False,
    )
    assert "expected a JSON array of objects" in problems(environ={"HUBBUB_CHANNEL__NAMESPACES": "news"})


def test_presets_and_flags_take_typed_values() -> None:
    loaded = load(
        None,
        {},
        {"client.insecure": True, "redis.urls": ["redis://x"]},
        presets={
            "channel.namespaces": [{"name": "news", "presence": True}],
            "client.ping_interval": "5s",
            "client.pong_timeout": "1s",
        },
    )
    assert loaded.config.client.insecure
    assert loaded.config.client.ping_interval == 5
    assert loaded.config.redis.urls[0].reveal() == "redis://x"
    assert loaded.config.channel.namespaces[0].presence


def test_the_file_is_the_flags_then_the_variables_then_the_one_in_the_directory(tmp_path: Path) -> None:
    assert locate(None, {}, tmp_path) is None
    (tmp_path / "config.toml").write_text("")
    assert locate(None, {}, tmp_path) == tmp_path / "config.toml"
    assert locate(None, {"HUBBUB_CONFIG": "/else.toml"}, tmp_path) == Path("/else.toml")
    assert locate(Path("/flag.toml"), {"HUBBUB_CONFIG": "/else.toml"}, tmp_path) == Path("/flag.toml")
