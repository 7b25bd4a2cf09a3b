"""`token`, `keys` and `admin link` make what the server accepts."""

import stat
import time
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chat.admin.links import verify as verify_link
from chat.auth.admin_secret import admin_secret
from chat.auth.keys import KeyRing
from chat.auth.tokens import verify, verify_subscription
from chat.auth.verifier import policy_of
from chat.config import load
from chat.sealing import Sealer
from support.command_line import hubbub

KEY = "k" * 32


@pytest.fixture(autouse=True)
def file(empty_directory: Path) -> Path:
    path = empty_directory / "config.toml"
    path.write_text(f'[token]\nhmac_secret_key = "{KEY}"\naudience = "chat"\n[api]\nkey = "{"a" * 32}"\n')
    return path


def test_a_token_is_accepted_by_the_server_of_the_same_configuration(file: Path) -> None:
    config = load(file, {}).config
    token = hubbub("token", "alice", "--ttl", "15m", "--info", '{"name": "Alice"}').out.strip()
    claims = verify(token, KeyRing.from_config(config.token), policy_of(config.token), time.time())
    assert claims.user == "alice"
    assert 890 < (claims.expire_at_s or 0) - time.time() <= 900
    assert bytes(claims.info) == b'{"name":"Alice"}'


def test_a_subscription_token_is_for_its_channel(file: Path) -> None:
    config = load(file, {}).config
    token = hubbub("token", "alice", "--channel", "news:sport").out.strip()
    claims = verify_subscription(token, KeyRing.from_config(config.token), policy_of(config.token), time.time())
    claims.demand(user="alice", channel="news:sport")


def test_a_named_hmac_key_signs_where_there_is_no_other(file: Path) -> None:
    file.write_text(f'[[token.keys]]\nkid = "k1"\nalgorithm = "HS256"\nkey = "{KEY}"\n')
    config = load(file, {}).config
    token = hubbub("token", "alice").out.strip()
    assert verify(token, KeyRing.from_config(config.token), policy_of(config.token), time.time()).user == "alice"


def test_a_private_key_signs_what_its_public_key_verifies(file: Path, tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "private.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    config = load(None, {}, {"token.ed25519_public_key": public}).config
    token = hubbub("token", "alice", "--private-key", "private.pem", "--config", "/dev/null").out.strip()
    assert verify(token, KeyRing.from_config(config.token), policy_of(config.token), time.time()).user == "alice"
    wrong = hubbub("token", "alice", "--private-key", "private.pem", "--algorithm", "RS256")
    assert (wrong.code, wrong.err) == (2, "hubbub: the key cannot sign with RS256\n")


def test_a_token_that_never_ends_is_made_with_a_warning() -> None:
    ran = hubbub("token", "alice", "--ttl", "never")
    assert ran.code == 0
    assert "token.require_exp" in ran.err


@pytest.mark.parametrize(
    ("flag", "value"), [("--ttl", "0s"), ("--ttl", "1x"), ("--info", "{"), ("--private-key", "missing.pem")]
)
def test_wrong_flags_are_named(flag: str, value: str) -> None:
    ran = hubbub("token", "alice", flag, value)
    assert ran.code == 2
    assert f"{flag}: " in ran.err


def test_keys_are_in_a_file_for_its_owner_alone_and_are_never_overwritten(tmp_path: Path) -> None:
    assert hubbub("keys", "keys.toml").code == 0
    path = tmp_path / "keys.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = load(path, {}).config
    secrets = {config.token.hmac_secret_key.reveal(), config.api.key.reveal(), config.admin.secret.reveal()}
    assert {len(secret) for secret in secrets} == {64}
    assert len(secrets) == 3
    assert Sealer.from_config(config)
    before = path.read_text()
    again = hubbub("keys", "keys.toml")
    assert (again.code, path.read_text()) == (1, before)
    assert "never overwritten" in again.err


def test_keys_go_to_stdout_as_toml_or_as_variables() -> None:
    assert set(tomllib.loads(hubbub("keys").out)) == {"token", "api", "admin", "secrets"}
    variables = dict(line.split("=", 1) for line in hubbub("keys", "--env").out.splitlines())
    config = load(None, variables).config
    assert config.api.key.reveal() == variables["HUBBUB_API__KEY"]
    assert Sealer.from_config(config)


def test_an_admin_link_is_signed_for_this_configuration(file: Path) -> None:
    link = hubbub("admin", "link").out.strip()
    base, _, token = link.partition("#")
    assert base == "http://127.0.0.1:8000/admin/login"
    assert verify_link(admin_secret(load(file, {}).config), token, time.time_ns() // 1_000_000)
    assert hubbub("admin", "link", "--url", "https://chat.example/").out.startswith("https://chat.example/admin/login#")
    assert set(hubbub("admin", "link", "--json").json) == {"url", "expires_at"}


def test_the_configuration_of_hubbub_dev_is_used_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / ".hubbub").mkdir()
    (tmp_path / ".hubbub" / "config.toml").write_text('server.port = 9999\napi.key = "from dev, long enough"\n')
    ran = hubbub("admin", "link")
    assert ran.out.startswith("http://127.0.0.1:9999/")
    assert "using .hubbub/config.toml of hubbub dev" in ran.err
    assert hubbub("admin", "link", "--config", "config.toml").out.startswith("http://127.0.0.1:8000/")
