"""Loads the configuration: defaults < presets < file < environment < flags, every value with its origin."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from chat.config.checks import check
from chat.config.errors import DEFAULT, ConfigError, Origin, Problem
from chat.config.keys import Section, describe
from chat.config.kinds import read_rows, read_value
from chat.config.layers import CONFIG_VARIABLE, Given, Layers, check_columns
from chat.config.schema import Config

_DEFAULT_FILE: Final = "config.toml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that passed every check. `origins` has every dotted key of the schema."""

    config: Config
    origins: Mapping[str, Origin]


def load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    *,
    presets: Mapping[str, object] | None = None,
    presets_name: str = "",
) -> Loaded:
    """Read all layers and build the configuration.

    `overrides` (flags) and `presets` (what a command such as `hubbub dev` prefers to the defaults) are by dotted key,
    values typed or as text: `{"server.port": 8001, "client.ping_interval": "5s"}`; tables in a list are mappings.

    Raises ConfigError with every problem found. Reads `path` and the files that `*_FILE` variables name, nothing else.
    """
    schema = describe(Config)
    layers = Layers(schema)
    layers.presets(presets or {}, presets_name)
    if path is not None:
        layers.file(path)
    layers.environment(environ)
    layers.flags(overrides or {})

    problems = layers.problems
    values: dict[str, Any] = {}
    origins = {key.path: DEFAULT for key in schema.every_key()}
    for given in layers.given:
        # A wrong value is wrong also where a stronger layer hides it: it would surprise when that layer goes away.
        found = _read(given)
        if isinstance(found, list):
            problems.extend(found)
        else:
            values[given.key.path], origins[given.key.path] = found.value, given.origin
    if problems:
        raise ConfigError(problems)
    config: Config = _build(schema, values)
    if broken := check(config):
        raise ConfigError([Problem(one.key, one.rule, _origin(origins, one)) for one in broken])
    return Loaded(config, MappingProxyType(origins))


def locate(flag: Path | None, environ: Mapping[str, str], directory: Path) -> Path | None:
    """Which file to load: the flag's, else `$HUBBUB_CONFIG`, else `config.toml` in the directory if there is one."""
    if flag is not None:
        return flag
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    beside = directory / _DEFAULT_FILE
    return beside if beside.is_file() else None


@dataclass(frozen=True, slots=True)
class _Read:
    value: Any


def _read(given: Given) -> _Read | list[Problem]:
    row_type = given.key.row_type
    try:
        if row_type is None:
            return _Read(read_value(given.key, given.raw, text=given.text))
        rows = read_rows(given.raw, text=given.text)
    except ValueError as error:
        return [Problem(given.key.path, str(error), given.origin)]
    return _read_rows(given, describe(row_type), rows)


def _read_rows(given: Given, columns: Section, rows: list[Mapping[str, object]]) -> _Read | list[Problem]:
    problems: list[Problem] = []
    built: list[object] = []
    by_name = {column.name: column for column in columns.keys}
    for number, row in enumerate(rows):
        name = row.get("name", row.get("kid"))
        place = f"{given.key.path}[{name if isinstance(name, str) and name else number}]"
        problems += [
            Problem(f"{place}.{column}", why, given.origin) for column, why in check_columns(row, list(by_name))
        ]
        values: dict[str, Any] = {}
        for column in columns.keys:
            if column.name not in row and not column.rule.required:
                continue
            try:
                values[column.path] = read_value(column, row.get(column.name, column.default), text=given.text)
            except ValueError as error:
                problems.append(Problem(f"{place}.{column.name}", str(error), given.origin))
        built.append(_build(columns, values))
    return problems or _Read(tuple(built))


def _build(section: Section, values: Mapping[str, Any]) -> Any:
    fields: dict[str, Any] = {key.name: values[key.path] for key in section.keys if key.path in values}
    for table in section.tables:
        fields[table.path.rpartition(".")[2]] = _build(table, values)
    return section.table_type(**fields)


def _origin(origins: Mapping[str, Origin], problem: Problem) -> Origin:
    """Where to look for the fault: the key's own origin, or its list's, or that of the key it clashes with."""
    places = (problem.key, problem.key.partition("[")[0], problem.other)
    return next((origins[place] for place in places if origins.get(place, DEFAULT) != DEFAULT), DEFAULT)
