"""docs/security.md keeps what it says: every attack of the catalogue is held by a test, or said to be open.

A test carries the number of the attack in its id (`R16-a-body-of-one-byte-a-second`) or is named in the attack's row.
"""

import ast
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "security.md"
COUNTS: Final = {"J": 30, "H": 16, "W": 26, "P": 24, "A": 20, "R": 28, "D": 12}
NUMBERS: Final = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]

_ID: Final = re.compile(r"([JHWPARD][0-9]{1,2})-[\w.-]+")
_ROW: Final = re.compile(r"^\| ([JHWPARD][0-9]{1,2}) \|(.*)\|$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def numbers_in_ids() -> frozenset[str]:
    """The numbers of the catalogue that ids of tests begin with."""
    texts = (path.read_text() for path in TESTS.rglob("*.py"))
    trees = (ast.parse(text) for text in texts if _ID.search(text))
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    ids = (_ID.fullmatch(value) for value in constants if isinstance(value, str))
    return frozenset(match[1] for match in ids if match)


def rows() -> dict[str, list[tuple[str, str]]]:
    """The tests that the page names for an attack: file and function, which may be empty."""
    found: dict[str, list[tuple[str, str]]] = {}
    for number, rest in _ROW.findall(PAGE.read_text()):
        found.setdefault(number, []).extend(_REFERENCE.findall(rest))
    return found


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("letter", COUNTS)
def test_every_attack_has_a_row_and_a_test_or_a_reason(letter: str) -> None:
    ids, named, told = numbers_in_ids(), rows(), PAGE.read_text()
    _, _, differently = told.partition("## Answered differently")
    for number in NUMBERS:
        if number.startswith(letter):
            assert number in named, f"docs/security.md has no row for {number}"
            held = number in ids or named[number] or re.search(rf"^\| [^|]*\b{number}\b", differently, re.MULTILINE)
            assert held, f"no id of a test begins with {number}-, and its row names no test and no reason"


def test_the_tests_that_the_page_names_are_there() -> None:
    for file, function in _REFERENCE.findall(PAGE.read_text()):
        path = TESTS.parent / file
        assert path.is_file(), f"docs/security.md names {file}"
        assert not function or function in functions(path), f"docs/security.md names {function} of {file}"


def test_ids_and_rows_have_no_numbers_that_there_are_not() -> None:
    assert numbers_in_ids() <= set(NUMBERS)
    assert set(rows()) <= set(NUMBERS)


def installed(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version(name).split(".")[:3])


@pytest.mark.parametrize(("name", "floor"), [("aiohttp", (3, 14, 5)), ("pyjwt", (2, 15, 0)), ("pillow", (12, 0, 0))])
def test_what_is_installed_is_not_what_advisories_are_about(name: str, floor: tuple[int, ...]) -> None:
    assert installed(name) >= floor
