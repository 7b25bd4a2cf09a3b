"""Glob patterns of channel names, as Centrifugo's `channels` takes them. Pure."""

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Final

MAX_ALTERNATIVES: Final = 64
"""What `{a,b}{c,d}…` may stand for."""

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_ESCAPED: Final = re.compile(r"\\(.)")


class BadPattern(ValueError):
    """Not a pattern; the text is the rule it breaks."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole name matches: `*` and `**` any characters, `?` one, `[abc]`, `[!abc]`, `{one,two}`, `\\` quotes.

    An empty pattern matches everything. Raises BadPattern. Matching takes time linear in the name for every `*`.
    """
    if not pattern:
        return lambda name: True
    quoted = _ESCAPED.sub(lambda match: f"[{match[1]}]", pattern)
    alternatives = [fnmatch.translate(one) for one in _expanded(quoted)]
    compiled = re.compile("|".join(alternatives))
    return lambda name: compiled.match(name) is not None


def literal_prefix(pattern: str) -> str:
    """What every matching name begins with."""
    return re.split(r"[*?\[{\\]", pattern, maxsplit=1)[0]


def _expanded(pattern: str) -> Iterator[str]:
    """The patterns without braces that it stands for, the inner braces first."""
    pending, done = [pattern], 0
    while pending:
        one = pending.pop()
        match = _BRACES.search(one)
        if match is None:
            done += 1
            yield one
        else:
            pending.extend(one[: match.start()] + each + one[match.end() :] for each in match[1].split(","))
        if done + len(pending) > MAX_ALTERNATIVES:
            raise BadPattern(f"stands for more than {MAX_ALTERNATIVES} alternatives")
