"""Help that answers at once and shows examples; exit codes that mean something."""

import subprocess
import sys

import pytest
from typer.main import get_command

import chat
from chat.cli.main import app
from support.command_line import hubbub

pytestmark = pytest.mark.usefixtures("empty_directory")

HEAVY = (
    "aiohttp",
    "motor",
    "pymongo",
    "jwt",
    "cryptography",
    "msgspec",
    "structlog",
    "rich",
    "redis",
    "uvloop",
    "orjson",
)
COMMANDS = [
    ["dev"],
    ["serve"],
    ["worker"],
    ["migrate"],
    ["check-config"],
    ["config", "show"],
    ["config", "default"],
    ["config", "reference"],
    ["token"],
    ["keys"],
    ["admin", "link"],
    ["push", "app", "add", "apns"],
    ["push", "app", "add", "fcm"],
    ["push", "app", "add", "webpush"],
    ["push", "app", "add", "webhook"],
    ["push", "app", "list"],
    ["push", "app", "remove"],
    ["push", "check"],
    ["send"],
    ["tail"],
    ["doctor"],
    ["version"],
]


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from chat.cli.main import main\n"
        "sys.argv = ['hubbub', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: hubbub" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_has_help_with_an_example(command: list[str]) -> None:
    ran = hubbub(*command, "--help")
    assert ran.code == 0
    assert f"hubbub {' '.join(command)}" in ran.out.partition("Example")[2]


def test_the_list_of_commands_is_complete_and_fits_a_terminal() -> None:
    ran = hubbub("--help", env={"COLUMNS": "80"})
    for command in COMMANDS:
        assert f"\n  {command[0]} " in ran.out
    assert "..." not in ran.out.partition("Commands:")[2]
    top = get_command(app)
    assert {command[0] for command in COMMANDS} == set(top.commands)  # type: ignore[attr-defined] - a group


def test_version_is_data() -> None:
    assert hubbub("version").out == f"{chat.__version__}\n"
    assert hubbub("version", "--json").json["version"] == chat.__version__


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nonsense"], 2),
        (["serve", "--port", "http"], 2),
        (["send", "x"], 2),
        (["token", "not a user"], 2),
        (["token", "alice", "--ttl", "soon"], 2),
        (["token", "alice"], 3),
        (["check-config", "--config", "missing.toml"], 3),
        (["serve", "--config", "missing.toml"], 3),
        (["worker", "--config", "missing.toml"], 3),
        (["admin", "link"], 3),
        (["version"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_exit_codes(arguments: list[str], code: int) -> None:
    ran = hubbub(*arguments)
    assert ran.code == code
    if code:
        assert ran.out == ""
        assert ran.err
        assert "Traceback" not in ran.err


def test_python_dash_m_chat_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "chat", "version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{chat.__version__}\n"
