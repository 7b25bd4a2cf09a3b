"""The kinds of values a key can have: how each is read from TOML and from text, how it is shown, how it is written.

`read` raises ValueError with a rule and never echoes what it was given: it may be a secret.
"""

import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chat.config.keys import Key, Rule, describe
from chat.config.values import Secret, Unit, Url, format_duration, format_size, parse_duration, parse_size

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Kind:
    """`read(raw, text)` reads what TOML gave (`text` False) or what a variable or a flag gave (`text` True).

    `show` gives something that JSON can hold, with secrets masked. `from_file` says whether the `*_FILE` form exists.
    """

    name: str
    read: Callable[[object, bool], object]
    show: Callable[[Any], object]
    from_file: bool = False


def kind_of(key: Key) -> Kind:
    """The kind of a key's declared type. A list of tables has none: see `Key.row_type`."""
    arguments = typing.get_args(key.value_type)
    if not arguments:
        return _SCALARS[key.value_type]
    element = _SCALARS[arguments[0]]
    return Kind(
        name=f"list of {element.name}s",
        read=lambda raw, text: _read_list(element, raw, text),
        show=lambda values: [element.show(value) for value in values],
        from_file=element.from_file,
    )


def read_value(key: Key, raw: object, *, text: bool) -> object:
    """Read and check one value. Raises ValueError with the rule it breaks."""
    kind = kind_of(key)
    value = kind.read(raw, text)
    _check(value, key.rule, kind.show)
    return value


def read_rows(raw: object, *, text: bool) -> list[Mapping[str, object]]:
    """A list of tables, from TOML or from JSON text. Raises ValueError."""
    if text and isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise ValueError("expected a JSON array of objects") from None
    if not isinstance(raw, list | tuple) or not all(isinstance(row, Mapping) for row in raw):
        raise ValueError("expected a list of tables")
    return [typing.cast("Mapping[str, object]", row) for row in raw]


def show(key: Key, value: Any) -> object:
    """The value as JSON can hold it, secrets masked."""
    row_type = key.row_type
    if row_type is None:
        return kind_of(key).show(value)
    inner = describe(row_type).keys
    return [{column.name: show(column, getattr(row, column.name)) for column in inner} for row in value]


def type_name(key: Key) -> str:
    """What to write for this key, for the reference: `integer, 0 to 65535`."""
    if key.row_type is not None:
        return "list of tables"
    rule, name = key.rule, kind_of(key).name
    if rule.choices:
        return f"{name}, one of {', '.join(_quote(choice) for choice in rule.choices)}"
    limits = _limits(rule, kind_of(key).show)
    return f"{name}, {limits}" if limits else name


def _read_list(element: Kind, raw: object, text: bool) -> tuple[object, ...]:
    if text and isinstance(raw, str):
        stripped = raw.strip()
        if stripped.startswith("["):
            try:
                raw = json.loads(stripped)
            except ValueError:
                raise ValueError("expected a JSON array or values with commas between them") from None
        else:
            raw = [part.strip() for part in stripped.split(",") if part.strip()]
    if not isinstance(raw, list | tuple):
        raise ValueError(f"expected a list of {element.name}s, got {_type_of(raw)}")  # noqa: TRY004 - one error for "breaks the rule"
    return tuple(element.read(item, text) for item in raw)


def _read_bool(raw: object, text: bool) -> bool:
    if isinstance(raw, bool):
        return raw
    if text and isinstance(raw, str):
        word = raw.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise ValueError("expected true or false")
    raise ValueError(f"expected true or false, got {_type_of(raw)}")


def _read_int(raw: object, text: bool) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if text and isinstance(raw, str):
        if re.fullmatch(r"\s*-?[0-9]{1,18}\s*", raw):
            return int(raw)
        raise ValueError("expected an integer")
    raise ValueError(f"expected an integer, got {_type_of(raw)}")


def _read_str(raw: object, _text: bool) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError(f"expected a string, got {_type_of(raw)}")


def _read_seconds(raw: object, _text: bool) -> float:
    if isinstance(raw, str):
        return parse_duration(raw)
    raise ValueError(f'expected a duration such as "25s", got {_type_of(raw)}')


def _read_bytes(raw: object, text: bool) -> int:
    if isinstance(raw, str):
        return parse_size(raw)
    return _read_int(raw, text)


def _read_pem(raw: object, text: bool) -> str:
    # Many platforms keep a variable on one line, with \n written out.
    return _read_str(raw, text).replace("\\n", "\n").strip()


def _check(value: object, rule: Rule, shown: Callable[[Any], object]) -> None:
    if rule.required and not value:
        raise ValueError("is required")
    if rule.choices and value not in rule.choices:
        raise ValueError(f"expected one of {', '.join(_quote(choice) for choice in rule.choices)}")
    if rule.pattern and isinstance(value, str) and value and re.fullmatch(rule.pattern, value) is None:
        raise ValueError(f"must match {rule.pattern}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        too_small = rule.minimum is not None and value < rule.minimum
        too_large = rule.maximum is not None and value > rule.maximum
        if too_small or too_large:
            raise ValueError(f"must be {_limits(rule, shown)}")


def _limits(rule: Rule, shown: Callable[[Any], object]) -> str:
    if rule.minimum is None:
        return ""
    least = shown(rule.minimum)
    return f"{least} or more" if rule.maximum is None else f"{least} to {shown(rule.maximum)}"


def _quote(text: str) -> str:
    return json.dumps(text)


def _type_of(raw: object) -> str:
    if isinstance(raw, bool):
        return "true or false"
    names: dict[type, str] = {int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}
    return names.get(type(raw), type(raw).__name__)


def _show_pem(value: str) -> str:
    """Enough to see which key it is: its kind and its last characters. Public keys are no secret, only long."""
    lines = value.splitlines()
    return f"{lines[0]} …{lines[-2][-12:]}" if len(lines) > 2 else value


def _masked(value: Secret) -> str:
    return value.masked


_SCALARS: Final[dict[Any, Kind]] = {
    bool: Kind("boolean", _read_bool, bool),
    int: Kind("integer", _read_int, int),
    str: Kind("string", _read_str, str),
    Unit.DURATION: Kind("duration", _read_seconds, format_duration),
    Unit.SIZE: Kind("size", _read_bytes, format_size),
    Unit.PEM: Kind("PEM", _read_pem, _show_pem, from_file=True),
    Secret: Kind("secret", lambda raw, text: Secret(_read_str(raw, text)), _masked, from_file=True),
    Url: Kind("URL", lambda raw, text: Url(_read_str(raw, text).strip()), _masked, from_file=True),
}
