"""mongod and redis-server are found, or the message says what to type."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from storage.local.find import Found, Machine, Missing, Program, Ran, find

RUNS = Ran(0, "db version v6.0.5\nBuild Info: {}")
NO_CURL = Ran(
    127, "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such file"
)


def machine(
    *,
    tools: tuple[str, ...] = ("apt-get",),
    wheel: str = "",
    answers: Mapping[str, Ran] | None = None,
    environment: Mapping[str, str] | None = None,
    system: str = "linux",
    architecture: str = "x86_64",
    python: tuple[int, int] = (3, 11),
    root: bool = False,
) -> Machine:
    """A made-up machine. `tools` are on PATH; `answers` is what programs say to --version (the others run)."""
    return Machine(
        environment=environment or {},
        system=system,
        architecture=architecture,
        python=python,
        root=root,
        which=lambda name: f"/usr/bin/{name}" if name in tools else None,
        wheel=lambda _: Path(wheel) if wheel else None,
        run=lambda path: (answers or {}).get(str(path), RUNS),
    )


def missing(program: Program, on: Machine) -> Missing:
    answer = find(program, on)
    assert isinstance(answer, Missing)
    return answer


def test_the_wheel_comes_before_path() -> None:
    found = find("mongod", machine(wheel="/wheel/mongod", tools=("mongod",)))
    assert found == Found("mongod", Path("/wheel/mongod"), "wheel", "6.0.5")


def test_path_is_used_without_wheel() -> None:
    found = find(
        "redis-server", machine(tools=("redis-server",), answers={"/usr/bin/redis-server": Ran(0, "v=7.0.15 sha")})
    )
    assert found == Found("redis-server", Path("/usr/bin/redis-server"), "PATH", "7.0.15")


def test_path_is_used_when_the_wheel_does_not_run() -> None:
    on = machine(wheel="/wheel/mongod", tools=("mongod",), answers={"/wheel/mongod": NO_CURL})
    assert find("mongod", on) == Found("mongod", Path("/usr/bin/mongod"), "PATH", "6.0.5")


def test_the_environment_comes_first() -> None:
    found = find("mongod", machine(wheel="/wheel/mongod", environment={"MONGOD": "/opt/mongod"}))
    assert found == Found("mongod", Path("/opt/mongod"), "environment (MONGOD)", "6.0.5")


def test_what_the_environment_names_is_not_passed_over() -> None:
    on = machine(
        wheel="/wheel/redis-server",
        environment={"REDIS_SERVER": "/opt/redis"},
        answers={"/opt/redis": Ran(1, "[Errno 2] No such file or directory: '/opt/redis'")},
    )
    assert missing("redis-server", on).reason == (
        "/opt/redis does not run: [Errno 2] No such file or directory: '/opt/redis'"
    )


def test_a_missing_libcurl_gives_the_apt_line() -> None:
    answer = missing("mongod", machine(wheel="/wheel/mongod", answers={"/wheel/mongod": NO_CURL}))
    assert answer.reason == "mongod needs libcurl.so.4, which is not installed"
    assert answer.commands == ("sudo apt-get update && sudo apt-get install -y libcurl4",)


def test_root_needs_no_sudo() -> None:
    answer = missing("mongod", machine(wheel="/wheel/mongod", answers={"/wheel/mongod": NO_CURL}, root=True))
    assert answer.commands == ("apt-get update && apt-get install -y libcurl4",)


def test_on_fedora_it_is_the_dnf_line() -> None:
    on = machine(wheel="/wheel/mongod", answers={"/wheel/mongod": NO_CURL}, tools=("dnf",), root=True)
    assert missing("mongod", on).commands == ("dnf install -y libcurl",)


def test_a_processor_without_avx_is_recognised() -> None:
    answer = missing("mongod", machine(wheel="/wheel/mongod", answers={"/wheel/mongod": Ran(-4, "")}))
    assert "needs AVX" in answer.reason
    assert "export MONGODB_URL=" in str(answer)


@pytest.mark.parametrize(
    ("program", "on", "first"),
    [
        ("mongod", machine(), "pip install 'hubbub[local]'"),
        ("redis-server", machine(), "pip install 'hubbub[local]'"),
        ("redis-server", machine(python=(3, 13)), "sudo apt-get update && sudo apt-get install -y redis-server"),
        (
            "redis-server",
            machine(architecture="aarch64"),
            "sudo apt-get update && sudo apt-get install -y redis-server",
        ),
        ("mongod", machine(architecture="aarch64"), "docker run -d --name hubbub-mongo"),
        (
            "mongod",
            machine(system="darwin", tools=("brew",)),
            "brew tap mongodb/brew && brew install mongodb-community",
        ),
        ("redis-server", machine(system="darwin", tools=("brew",)), "brew install redis"),
        ("redis-server", machine(system="darwin", tools=()), "docker run -d -p 6379:6379 valkey/valkey:8"),
    ],
)
def test_without_a_program_the_best_command_comes_first(program: Program, on: Machine, first: str) -> None:
    answer = missing(program, on)
    assert answer.reason == f"{program} was not found"
    assert answer.commands[0].startswith(first)
    assert f"export {'MONGODB_URL' if program == 'mongod' else 'REDIS_URL'}=" in answer.commands[-1]


@pytest.mark.parametrize("program", ["mongod", "redis-server"])
def test_both_are_found_here(program: Program) -> None:
    found = find(program, Machine.here())
    assert isinstance(found, Found), str(found)
    assert found.version
    assert found.path.is_file()
