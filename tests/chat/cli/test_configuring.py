"""`check-config` and `config`."""

from pathlib import Path

import pytest

from chat.config.render import default_toml, reference_markdown
from support.command_line import hubbub

GOOD = f'[token]\nhmac_secret_key = "{"k" * 32}"\n[api]\nkey = "{"a" * 32}"\n'


@pytest.fixture(autouse=True)
def file(empty_directory: Path) -> Path:
    path = empty_directory / "config.toml"
    path.write_text(GOOD)
    return path


def test_a_good_configuration_can_be_served() -> None:
    ran = hubbub("check-config")
    assert (ran.code, ran.out, ran.err) == (0, "the configuration can be served\n", "")
    assert hubbub("check-config", "--json").json == {"ok": True, "problems": [], "remarks": []}


def test_a_wrong_one_is_told_key_by_key_with_origins(file: Path) -> None:
    file.write_text(GOOD + "[server]\nprot = 1\n")
    ran = hubbub("check-config", env={"PORT": "x"})
    assert ran.code == 3
    assert "server.prot: unknown key: did you mean server.port? (file config.toml)" in ran.err.replace(
        str(file), "config.toml"
    )
    assert "server.port: expected an integer (environment PORT)" in ran.err
    assert [problem["key"] for problem in hubbub("check-config", "--json").json["problems"]] == ["server.prot"]


def test_what_serve_would_refuse_is_a_problem_here_too() -> None:
    assert "client.insecure: insecure: everyone" in hubbub("check-config", env={"HUBBUB_CLIENT__INSECURE": "true"}).err
    unusable = hubbub("check-config", env={"HUBBUB_TOKEN__RSA_PUBLIC_KEY": "nonsense"})
    assert unusable.code == 3
    assert "token.rsa_public_key: is not a public key in PEM" in unusable.err
    confirmed = {"HUBBUB_CLIENT__INSECURE": "true", "HUBBUB_SERVER__ALLOW_INSECURE_OPTIONS": "true"}
    assert hubbub("check-config", env=confirmed).code == 0


def test_urls_and_certificates_of_no_use_are_problems_here_too() -> None:
    ran = hubbub("check-config", env={"MONGODB_URL": "postgres://u:hunter2@db", "REDIS_URL": "http://u:hunter2@cache"})
    assert ran.code == 3
    assert "mongodb.url: expected mongodb://" in ran.err
    assert "redis.urls: not a usable Redis URL" in ran.err
    assert "hunter2" not in ran.err
    files = {"HUBBUB_SERVER__TLS__CERTIFICATE": "/does/not/exist.pem", "HUBBUB_SERVER__TLS__KEY": "/neither.pem"}
    assert "server.tls.certificate: cannot read /does/not/exist.pem" in hubbub("check-config", env=files).err
    del files["HUBBUB_SERVER__TLS__KEY"]
    assert "server.tls.key: is required with server.tls.certificate" in hubbub("check-config", env=files).err


def test_remarks_do_not_fail(file: Path) -> None:
    file.write_text("")
    ran = hubbub("check-config")
    assert ran.code == 0
    assert "token: has no key: every token is refused" in ran.err


def test_show_says_what_is_in_force_and_where_it_came_from(file: Path) -> None:
    ran = hubbub("config", "show", "--origin", "--changed", env={"PORT": "9000"})
    assert "server.port = 9000  # environment PORT\n" in ran.out
    assert f'api.key = "***"  # file {file}\n' in ran.out
    assert "kkkk" not in ran.out
    assert "log.level" not in ran.out
    assert 'log.level = "info"\n' in hubbub("config", "show").out
    assert hubbub("config", "show", "--json").json["server.port"] == 8000
    assert hubbub("config", "show", "--json", "--origin").json["server.port"] == {"value": 8000, "origin": "default"}


def test_the_file_is_found_by_flag_variable_and_place(file: Path, tmp_path: Path) -> None:
    for name, port in (("flag.toml", 1), ("variable.toml", 2)):
        (tmp_path / name).write_text(f"[server]\nport = {port}\n")
    file.write_text("[server]\nport = 3\n")
    show = ("config", "show", "--json")
    variable = {"HUBBUB_CONFIG": "variable.toml"}
    assert hubbub(*show, "--config", "flag.toml", env=variable).json["server.port"] == 1
    assert hubbub(*show, env=variable).json["server.port"] == 2
    assert hubbub(*show).json["server.port"] == 3


def test_default_and_reference_are_printed_as_they_are_kept() -> None:
    assert hubbub("config", "default").out == default_toml()
    assert hubbub("config", "reference").out == reference_markdown()
