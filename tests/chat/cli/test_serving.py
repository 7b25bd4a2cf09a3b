"""`migrate` against a real MongoDB, and what `serve` does before it serves."""

import socket
from pathlib import Path

import pytest

from chat.cli.serving import ServeOptions, child_arguments
from chat.config import load
from support.command_line import hubbub

pytestmark = pytest.mark.usefixtures("empty_directory")


@pytest.fixture
def variables(mongodb_url: str, new_database_name: str) -> dict[str, str]:
    return {"MONGODB_URL": mongodb_url, "HUBBUB_MONGODB__DATABASE": new_database_name}


def test_migrate_makes_the_layout_once_and_check_says_whether_it_is_there(variables: dict[str, str]) -> None:
    before = hubbub("migrate", "--check", env=variables)
    assert before.code == 3
    assert "hubbub migrate" in before.err
    first = hubbub("migrate", "--json", env=variables)
    assert first.code == 0
    assert hubbub("migrate", "--check", "--json", env=variables).json == {**first.json, "checked": True}
    assert hubbub("migrate", "--json", env=variables).json == first.json


def test_migrate_says_when_mongodb_does_not_answer() -> None:
    ran = hubbub("migrate", env={"MONGODB_URL": "mongodb://127.0.0.1:1/?timeoutMS=300"})
    assert ran.code == 4
    assert "(mongodb.url)" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_migrate_says_when_the_url_is_none() -> None:
    ran = hubbub("migrate", env={"MONGODB_URL": "postgres://u:hunter2@db"})
    assert ran.code == 3
    assert "mongodb.url" in ran.err
    assert "hunter2" not in ran.err


def test_serve_refuses_insecure_options_until_they_are_confirmed() -> None:
    ran = hubbub("serve", env={"HUBBUB_CLIENT__INSECURE": "true"})
    assert ran.code == 3
    assert "server.allow_insecure_options" in ran.err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_says_when_the_port_is_taken(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = hubbub("serve", "--host", "127.0.0.1", "--port", port, "--workers", workers)
    assert ran.code == 1
    assert f"port {port} is in use" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_each_of_several_processes_gets_the_port_that_is_held_and_the_same_file() -> None:
    config = load(None, {}, {"server.workers": 3, "server.host": "127.0.0.1"}).config
    arguments = child_arguments(ServeOptions(config=Path("x.toml")), config, 9001)
    assert arguments == (
        *("serve", "--supervised", "--config", "x.toml"),
        *("--host", "127.0.0.1", "--port", "9001", "--workers", "3"),
    )
