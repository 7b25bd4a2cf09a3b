"""The calls in the documentation: fenced blocks that say how to call a method, over the socket or by REST. Pure.

    ```rpc message.edit
    {"conversation": "$conversation", "offset": $offset, "text": "better"}
    ```
    ```rest PATCH /v1/conversations/$conversation/messages/$offset
    {"text": "better"}
    ```

Names that begin with `$` stand for what a reader has: a conversation, a message in it. Tests fill them in and run every
block.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from markdown_it import MarkdownIt

VARIABLE: Final = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Call:
    """One block. `verb` and `path` are empty for the socket, `method` for REST; `body` may be empty. `line` is where it
    begins, from 1.
    """

    method: str
    verb: str
    path: str
    body: str
    line: int

    @property
    def over_socket(self) -> bool:
        return bool(self.method)

    @property
    def variables(self) -> set[str]:
        return set(VARIABLE.findall(f"{self.path} {self.body}"))


def calls(markdown: str) -> Iterator[Call]:
    """The calls of a page, in order."""
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "fence" and (call := parse(token.info, token.content, (token.map or [0])[0] + 1)):
            yield call


def parse(info: str, content: str, line: int = 0) -> Call | None:
    """The call that a fenced block is, None for other blocks. Raises ValueError for one that is neither."""
    match info.split():
        case ["rpc", method]:
            return Call(method, "", "", content.strip(), line)
        case ["rest", verb, path]:
            return Call("", verb, path, content.strip(), line)
        case ["rpc" | "rest", *_]:
            raise ValueError(f"line {line}: ```{info}: must be `rpc <method>` or `rest <VERB> <path>`")
        case _:
            return None


def filled(text: str, values: Mapping[str, object]) -> str:
    """`text` with values for the names. Raises KeyError for a name that has none."""
    return VARIABLE.sub(lambda found: str(values[found[1]]), text)


def curl(call: Call) -> str:
    """The call for a shell, by REST; a method goes by its own name. Names stay: they are the shell's variables too."""
    verb = call.verb or "POST"
    lines = [f'curl -X {verb} "$HUBBUB{call.path or f"/v1/rpc/{call.method}"}"', '-H "Authorization: Bearer $TOKEN"']
    if not call.body:
        return " \\\n  ".join(lines)
    # A document in the shell fills variables in, and leaves quotes as they are.
    return " \\\n  ".join([*lines, f"-H 'Content-Type: application/json' -d @- <<JSON\n{call.body}\nJSON"])


def javascript(call: Call) -> str:
    """The call for a page or an app: the Centrifuge SDK, or `fetch`."""
    if call.over_socket:
        return f'await client.rpc("{call.method}", {_object(call.body) or "{}"});'
    path = VARIABLE.sub(r"${\1}", call.path)
    lines = [f"await fetch(`${{hubbub}}{path}`, {{", f'  method: "{call.verb}",']
    headers = "Authorization: `Bearer ${token}`"
    if call.body:
        lines.append(f'  headers: {{ {headers}, "Content-Type": "application/json" }},')
        lines.append(f"  body: JSON.stringify({_object(call.body)}),")
    else:
        lines.append(f"  headers: {{ {headers} }},")
    return "\n".join([*lines, "});"])


_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|\$([a-z_]+)')


def _object(body: str) -> str:
    """JSON as JavaScript: `"$name"` and `$name` are variables, keys need no quotes."""
    return _TOKEN.sub(_written, body)


def _written(found: "re.Match[str]") -> str:
    text, colon, bare = found.groups()
    if bare:
        return str(bare)
    if colon:
        return f"{text}{colon}" if str(text).isidentifier() else str(found[0])
    if whole := VARIABLE.fullmatch(text):
        return str(whole[1])
    template = VARIABLE.sub(r"${\1}", text)
    return str(found[0]) if template == text else f"`{template}`"


def decoded(call: Call, values: Mapping[str, object]) -> Any:
    """The body with values, as JSON says it; None without a body. Raises ValueError, KeyError."""
    return json.loads(filled(call.body, values)) if call.body else None
