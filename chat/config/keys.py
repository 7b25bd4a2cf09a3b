"""How a key of the configuration is declared, and how the declared keys are walked.

A table is a frozen dataclass. A key is a field of it annotated with a `Rule`, a table inside a table a field annotated
with a `Table`, a list of tables a key whose type is a tuple of dataclasses. The schema is the only list of keys:
loading, the reference and `config show` are made from it.
"""

import dataclasses
import functools
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """What a key means and which values it takes. `minimum` and `maximum` are in the value's unit (s, bytes).

    `example` is TOML that shows rows of a list of tables.
    """

    doc: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    required: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What a table is about."""

    doc: str


@dataclass(frozen=True, slots=True)
class Key:
    """One declared key. `path` is dotted from the root; `value_type` is the declared type, or its unit."""

    path: str
    name: str
    value_type: Any
    default: Any
    rule: Rule

    @property
    def row_type(self) -> type | None:
        """The dataclass of one row, when the key is a list of tables."""
        arguments = typing.get_args(self.value_type)
        return arguments[0] if arguments and isinstance(arguments[0], type) and is_table(arguments[0]) else None


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the schema. `tables` are those inside it, in declared order."""

    path: str
    doc: str
    table_type: type
    keys: tuple[Key, ...]
    tables: tuple["Section", ...]

    def every_key(self) -> Iterator[Key]:
        """The keys of this table, then those of the tables inside it."""
        yield from self.keys
        for inner in self.tables:
            yield from inner.every_key()

    def every_table(self) -> Iterator["Section"]:
        """This table and those inside it, outermost first."""
        yield self
        for inner in self.tables:
            yield from inner.every_table()


def is_table(kind: type) -> bool:
    return dataclasses.is_dataclass(kind)


@functools.cache
def describe(kind: type, path: str = "", doc: str = "") -> Section:
    """The declared keys and tables of a table type."""
    hints = typing.get_type_hints(kind, include_extras=True)
    keys: list[Key] = []
    tables: list[Section] = []
    for declared in dataclasses.fields(kind):
        declared_type, *units, note = typing.get_args(hints[declared.name])
        dotted = f"{path}.{declared.name}" if path else declared.name
        if isinstance(note, Table):
            tables.append(describe(declared_type, dotted, note.doc))
        else:
            keys.append(Key(dotted, declared.name, units[0] if units else declared_type, declared.default, note))
    return Section(path, doc, kind, tuple(keys), tuple(tables))
