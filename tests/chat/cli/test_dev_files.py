"""The keys and the configuration file that a local deployment makes for itself."""

import json
import stat
import tomllib
from pathlib import Path

import pytest

from chat.cli.dev_config import as_file, child_environment, effective, is_given
from chat.cli.dev_keys import Keys, KeysUnusable, keys_in, write_private
from chat.config import load

KEYS = Keys(token="t" * 64, api="a" * 64, admin="s" * 64, sealing=f"k1:{'A' * 43}")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once_and_only_we_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys, new = keys_in(path)
    assert new
    assert mode(path) == 0o600
    assert len({keys.token, keys.api, keys.admin}) == 3
    assert all(len(key) >= 64 for key in (keys.token, keys.api, keys.admin))
    assert keys_in(path) == (keys, False)


def test_a_file_of_keys_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys_in(path)
    path.chmod(0o644)
    keys_in(path)
    assert mode(path) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"token": "x"}'])
def test_a_damaged_file_of_keys_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(KeysUnusable, match=f"^{path} is damaged: delete it, and new keys are made$"):
        keys_in(path)


def test_keys_do_not_print_themselves() -> None:
    assert "ttt" not in repr(KEYS)


def test_a_private_file_replaces_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_the_file_brings_what_is_in_force(tmp_path: Path) -> None:
    user_file = tmp_path / "user.toml"
    user_file.write_text(
        'client.ping_interval = "7s"\nclient.allowed_origins = ["https://a.example", "https://b.example"]\n'
        'limits.message_text_max_size = "8KiB"\n[[token.keys]]\nkid = "1"\nalgorithm = "HS256"\n'
        'key = "käy \\"quoted\\" \\\\ \\u007f 0123456789012345678901234567890"\n'
    )
    environ = {"HUBBUB_CLIENT__PONG_TIMEOUT": "3s", "HUBBUB_SERVER__NODE_NAME": "näme"}
    servers = {"mongodb.url": "mongodb://127.0.0.1:1/", "redis.urls": ["unix:///tmp/redis.sock"]}
    loaded = effective(user_file, environ, {"server.port": 9000}, KEYS, servers)
    path = tmp_path / "config.toml"
    path.write_text(as_file(loaded, path), encoding="utf-8")
    again = load(path, {})
    assert again.config == loaded.config
    assert (again.config.client.ping_interval, again.config.client.pong_timeout) == (7, 3)
    assert again.config.server.port == 9000
    assert again.config.api.key.reveal() == KEYS.api
    assert again.config.redis.urls[0].reveal() == "unix:///tmp/redis.sock"


def test_the_news_namespace_is_there_unless_the_user_has_namespaces(tmp_path: Path) -> None:
    ours = effective(None, {}, {}, KEYS).config.channel.namespaces
    assert [namespace.name for namespace in ours] == ["news"]
    news = ours[0]
    assert news.allow_subscribe_for_client
    assert news.presence
    assert news.join_leave
    assert news.force_recovery
    assert (news.history_size, news.history_ttl) == (100, 300)
    user_file = tmp_path / "user.toml"
    user_file.write_text('[[channel.namespaces]]\nname = "mine"\n')
    assert [one.name for one in effective(user_file, {}, {}, KEYS).config.channel.namespaces] == ["mine"]


def test_what_the_user_gives_wins_over_what_we_prefer() -> None:
    loaded = effective(None, {"HUBBUB_API__KEY": "theirs-theirs-theirs", "MONGODB_URL": "mongodb://db/"}, {}, KEYS)
    assert loaded.config.api.key.reveal() == "theirs-theirs-theirs"
    assert is_given(loaded, "mongodb.url")
    assert not is_given(loaded, "redis.urls")
    assert not is_given(loaded, "token.hmac_secret_key")


def test_children_read_the_file_and_nothing_else(tmp_path: Path) -> None:
    environ = {
        "PATH": "/bin",
        "PORT": "1",
        "MONGODB_URL": "mongodb://x",
        "REDIS_URL_FILE": "/x",
        "HUBBUB_CLIENT__INSECURE": "true",
        "HUBBUB_CONFIG": "/etc/hubbub.toml",
    }
    file = tmp_path / "config.toml"
    assert child_environment(environ, file) == {"PATH": "/bin", "HUBBUB_CONFIG": str(file)}


def test_the_file_says_how_other_commands_use_it(tmp_path: Path) -> None:
    text = as_file(effective(None, {}, {}, KEYS), tmp_path / "config.toml")
    assert f"HUBBUB_CONFIG={tmp_path}/config.toml hubbub token alice" in text
    assert tomllib.loads(text)["token"]["hmac_secret_key"] == KEYS.token
    assert json.loads(json.dumps(tomllib.loads(text)))


def test_a_file_of_keys_from_before_gets_the_key_for_sealing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"token": "t", "api": "a", "admin": "s"}')
    keys, new = keys_in(path)
    assert (keys.token, new) == ("t", False)
    assert keys_in(path) == (keys, False)
