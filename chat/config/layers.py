"""The layers that give values: presets, a TOML file, the environment, flags. Each becomes a list of `Given`."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chat.config.errors import Layer, Origin, Problem
from chat.config.hints import closest, hint
from chat.config.keys import Key, Section
from chat.config.kinds import kind_of

PREFIX: Final = "HUBBUB_"
CONFIG_VARIABLE: Final = "HUBBUB_CONFIG"
"""Names the file."""

_NO_KEYS: Final = frozenset({CONFIG_VARIABLE, "HUBBUB_DEMO", "HUBBUB_LAB", "HUBBUB_RUN_DIR", "HUBBUB_SLOT"})
"""Variables with our prefix that are not keys: the file, and what `dev` and `serve` tell the processes they start."""

PLATFORM_VARIABLES: Final = {
    "MONGODB_URL": "mongodb.url",
    "REDIS_URL": "redis.urls",
    "PORT": "server.port",
    "WEB_CONCURRENCY": "server.workers",
}
"""Names that hosting platforms set. The long names win over them."""

_MAX_SECRET_FILE_BYTES: Final = 64 * 1024
_SERVICE_LINK: Final = re.compile(r".*_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP)(?:_\w+)?)?)")


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave for a key, not yet read. `text`: it came as text and may stand for another type."""

    key: Key
    raw: object
    origin: Origin
    text: bool


class Layers:
    """Collects what the layers give, weakest first, and what is wrong with it."""

    def __init__(self, schema: Section) -> None:
        self._keys = {key.path: key for key in schema.every_key()}
        self._tables = {table.path for table in schema.every_table()}
        self.given: list[Given] = []
        self.problems: list[Problem] = []

    def presets(self, values: Mapping[str, object], name: str) -> None:
        """Values by dotted key that a command prefers to the defaults."""
        self._dotted(values, Origin(Layer.PRESET, name))

    def flags(self, values: Mapping[str, object]) -> None:
        """Values by dotted key from the command line."""
        for path, raw in values.items():
            self._dotted({path: raw}, Origin(Layer.FLAG, "--" + path.rpartition(".")[2].replace("_", "-")))

    def file(self, path: Path) -> None:
        """A TOML file."""
        origin = Origin(Layer.FILE, str(path))
        try:
            document = tomllib.loads(path.read_bytes().decode())
        except OSError as error:
            self._problem("", f"cannot be read: {error.strerror}", origin)
        except UnicodeDecodeError:
            self._problem("", "is not UTF-8", origin)
        except tomllib.TOMLDecodeError as error:
            self._problem("", f"is not TOML: {error}", origin)
        else:
            self._table(document, "", origin)

    def environment(self, environ: Mapping[str, str]) -> None:
        """`HUBBUB_SECTION__KEY`, the platform names, and either with `_FILE`. An empty variable is as good as none."""
        variables = {name: text for name, text in environ.items() if text}
        for name, path in PLATFORM_VARIABLES.items():
            self._variable(variables, name, path)
        ours = {PREFIX + path.replace(".", "__").upper(): path for path in self._keys}
        for name, path in ours.items():
            self._variable(variables, name, path)
        for name in sorted(variables):
            known = name in ours or name in _NO_KEYS or self._is_file(name, ours)
            if name.startswith(PREFIX) and not known:
                self._unknown_variable(name, variables[name], ours)

    def _is_file(self, name: str, ours: Mapping[str, str]) -> bool:
        path = ours.get(name.removesuffix("_FILE"))
        return name.endswith("_FILE") and path is not None and _may_be_file(self._keys[path])

    def _variable(self, variables: Mapping[str, str], name: str, path: str) -> None:
        key = self._keys[path]
        file_name = f"{name}_FILE"
        in_file = file_name in variables and _may_be_file(key)
        if name in variables and in_file:
            self._problem(path, f"is given twice, by {name} and by {file_name}", Origin(Layer.ENVIRONMENT, name))
        elif name in variables:
            self.given.append(Given(key, variables[name], Origin(Layer.ENVIRONMENT, name), text=True))
        elif in_file:
            self._secret_file(key, Path(variables[file_name]), Origin(Layer.ENVIRONMENT, file_name))

    def _secret_file(self, key: Key, path: Path, origin: Origin) -> None:
        try:
            with path.open("rb") as stream:
                content = stream.read(_MAX_SECRET_FILE_BYTES + 1)
            text = content.decode().rstrip("\r\n")
        except OSError as error:
            self._problem(key.path, f"{path} cannot be read: {error.strerror}", origin)
        except UnicodeDecodeError:
            self._problem(key.path, f"{path} is not UTF-8", origin)
        else:
            if len(content) > _MAX_SECRET_FILE_BYTES:
                self._problem(key.path, f"{path} is larger than 64 KiB", origin)
            else:
                self.given.append(Given(key, text, origin, text=True))

    def _unknown_variable(self, name: str, text: str, ours: Mapping[str, str]) -> None:
        # Kubernetes tells every pod of every Service: HUBBUB_PORT=tcp://10.0.0.7:80 means that one is called "hubbub".
        if _SERVICE_LINK.fullmatch(name) and ("__" not in name) and (not text.isdigit() or "SERVICE" in name):
            return
        file_form = name.endswith("_FILE") and name.removesuffix("_FILE") in ours
        if file_form:
            why = "only secrets, URLs and public keys can be in a file"
        else:
            meant = closest(name, [*ours, *(f"{one}_FILE" for one in ours)])
            why = f"did you mean {meant}?" if meant else ""
        self._problem("", f"unknown variable {name}{why and ': '}{why}", Origin(Layer.ENVIRONMENT, name))

    def _dotted(self, values: Mapping[str, object], origin: Origin) -> None:
        for path, raw in values.items():
            if path in self._keys:
                self.given.append(Given(self._keys[path], raw, origin, text=True))
            else:
                self._unknown(path, origin)

    def _table(self, table: Mapping[str, object], path: str, origin: Origin) -> None:
        for name, raw in table.items():
            inner = f"{path}.{name}" if path else name
            if inner in self._keys:
                self.given.append(Given(self._keys[inner], raw, origin, text=False))
            elif inner not in self._tables:
                self._unknown_table(inner, raw, origin)
            elif isinstance(raw, Mapping):
                self._table(raw, inner, origin)
            else:
                self._problem(inner, "expected a table", origin)

    def _unknown_table(self, path: str, raw: object, origin: Origin) -> None:
        # A whole table in the wrong place is reported key by key: each has its own place here.
        leaves = list(_leaves(raw, path))
        for leaf in leaves:
            self._unknown(leaf, origin)

    def _unknown(self, path: str, origin: Origin) -> None:
        why = hint(path, self._keys)
        self._problem(path, f"unknown key{why and ': '}{why}", origin)

    def _problem(self, key: str, rule: str, origin: Origin) -> None:
        self.problems.append(Problem(key, rule, origin))


def check_columns(row: Mapping[str, object], columns: Sequence[str]) -> list[tuple[str, str]]:
    """The unknown columns of a row, each with what to say about it."""
    unknown = [name for name in row if name not in columns]
    whys = [(name, hint(name, columns)) for name in unknown]
    return [(name, f"unknown key{why and ': '}{why}") for name, why in whys]


def _may_be_file(key: Key) -> bool:
    return key.row_type is None and kind_of(key).from_file


def _leaves(raw: object, path: str) -> Iterator[str]:
    if isinstance(raw, Mapping) and raw:
        for name, inner in raw.items():
            yield from _leaves(inner, f"{path}.{name}")
    else:
        yield path
