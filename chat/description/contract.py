"""The contract: what of the descriptions clients rely on, as a hash. Words and examples are no part of it. Pure.

A changed contract fails a test until the changelog names it, so that nobody changes what clients rely on without saying
so where users look.
"""

import hashlib
import re
from typing import Any, Final

import msgspec

ASK: Final = """
The contract changed: what clients may send, or what they get. Say so in CHANGELOG.md, under "Unreleased":
1. one line for users on what is new or different (a change that breaks clients begins with **Breaking:**);
2. instead of the present line "API contract: sha256:...":

{line}
"""
"""What is asked of whoever changed it."""

_WORDS: Final = frozenset({"description", "summary", "title", "example", "examples", "info", "tags", "when"})
_BYTES: Final = 8
_LINE: Final = re.compile(r"^API contract: sha256:([0-9a-f]+)\s*$", re.MULTILINE)


def line(*documents: dict[str, Any]) -> str:
    """What the changelog has to have: `API contract: sha256:…`."""
    encoded = msgspec.json.encode([_without_words(one) for one in documents], order="deterministic")
    return f"API contract: sha256:{hashlib.sha256(encoded).hexdigest()[: 2 * _BYTES]}"


def newest(changelog: str) -> str:
    """The line that a changelog has, that of its newest version; empty without one."""
    found = _LINE.search(changelog)
    return found[0].strip() if found else ""


def _without_words(part: Any, *, names: bool = False) -> Any:
    """`part` without words. `names`: the keys are those of things (fields, paths), not of the description's own."""
    match part:
        case dict():
            return {
                key: _without_words(value, names=key in {"properties", "schemas", "paths", "messages"} and not names)
                for key, value in part.items()
                if names or key not in _WORDS
            }
        case list():
            return [_without_words(one) for one in part]
        case _:
            return part
