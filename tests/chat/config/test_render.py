"""`config.toml`, the reference and `config show` say what the schema says."""

import json
import re
from pathlib import Path

from chat.config import Config, load
from chat.config.keys import describe
from chat.config.kinds import kind_of
from chat.config.render import default_toml, reference_markdown, shown, shown_lines

ROOT = Path(__file__).parents[3]


def test_config_toml_is_what_the_schema_says() -> None:
    assert (ROOT / "config.toml").read_text() == default_toml(), "run: hubbub config default > config.toml"


def test_the_reference_is_what_the_schema_says() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()
    assert written == reference_markdown(), "run: hubbub config reference > docs/configuration.md"


def test_config_toml_changes_nothing_as_it_is() -> None:
    loaded = load(ROOT / "config.toml", {})
    assert loaded.config == Config()
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}


def test_config_toml_with_every_line_switched_on_has_every_key_at_its_default(tmp_path: Path) -> None:
    switched = re.sub(r"^#(?=[a-z_0-9]+ = )", "", default_toml(), flags=re.MULTILINE)
    (tmp_path / "config.toml").write_text(switched)
    loaded = load(tmp_path / "config.toml", {})
    assert loaded.config == Config()
    assert {origin.layer for origin in loaded.origins.values()} == {"file"}
    assert set(loaded.origins) == {key.path for key in describe(Config).every_key()}


def test_every_key_is_explained_in_both() -> None:
    for key in describe(Config).every_key():
        assert f"| `{key.name}` | " in reference_markdown(), key.path
        assert f"\n#{key.name} = " in default_toml(), key.path


def test_every_key_has_a_meaning_that_is_a_sentence() -> None:
    for key in describe(Config).every_key():
        assert re.fullmatch(r"[A-Z`].*[.:]", key.rule.doc), key.path


def test_examples_of_tables_are_good_configuration(tmp_path: Path) -> None:
    for key in describe(Config).every_key():
        if key.row_type is not None:
            (tmp_path / "config.toml").write_text(key.rule.example)
            assert load(tmp_path / "config.toml", {}).config != Config()


def test_every_default_passes_its_own_rule() -> None:
    for key in describe(Config).every_key():
        if key.row_type is None:
            assert kind_of(key).name
            assert key.rule.minimum is None or key.default >= key.rule.minimum
            assert not key.rule.choices or key.default in key.rule.choices


def test_what_is_shown_is_json_without_secrets() -> None:
    loaded = load(
        None,
        {"MONGODB_URL": "mongodb://u:hunter2@db", "REDIS_URL": "redis://:hunter2@a,redis://b"},
        {
            "api.key": "hunter2",
            "token.hmac_secret_key": "hunter2",
            "token.keys": [{"kid": "k", "algorithm": "HS256", "key": "hunter2"}],
            "channel.namespaces": [{"name": "news", "history_size": 1, "history_ttl": "5m"}],
        },
    )
    text = json.dumps(shown(loaded))
    assert "hunter2" not in text
    assert "hunter2" not in repr(loaded)
    assert shown(loaded)["mongodb.url"] == {"value": "mongodb://u:***@db", "origin": "environment MONGODB_URL"}
    assert shown(loaded)["redis.urls"]["value"] == ["redis://:***@a", "redis://b"]
    assert '"name": "news"' in text
    assert set(shown(loaded)) == set(loaded.origins)


def test_lines_can_be_limited_to_what_was_changed() -> None:
    loaded = load(None, {"PORT": "9000"}, {"client.ping_interval": "20s"})
    assert list(shown_lines(loaded, origin=True, changed=True)) == [
        "server.port = 9000  # environment PORT",
        'client.ping_interval = "20s"  # flag --ping-interval',
    ]
    assert 'log.level = "info"' in list(shown_lines(loaded, origin=False, changed=False))


def test_a_public_key_is_shown_short() -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEabcdefghijkl\n-----END PUBLIC KEY-----"
    (line,) = shown_lines(load(None, {}, {"token.ecdsa_public_key": pem}), origin=False, changed=True)
    assert line == 'token.ecdsa_public_key = "-----BEGIN PUBLIC KEY----- …abcdefghijkl"'


def test_no_line_of_the_file_is_hard_to_read() -> None:
    assert max(len(line) for line in default_toml().splitlines()) <= 130
