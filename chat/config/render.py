"""Writes the schema down: `config.toml` with every key at its default, the reference in Markdown, what is in force."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from chat.config.errors import Layer
from chat.config.keys import Key, Rule, Section, describe
from chat.config.kinds import kind_of, show, type_name
from chat.config.load import Loaded
from chat.config.schema import Config

_Identity = tuple[str, Rule]

_WIDTH: Final = 100

_TOML_HEAD: Final = """\
# Every setting of Hubbub, with its meaning and its default. Take the # away from a line to change it.
#
# A value here is overruled by an environment variable (HUBBUB_SERVER__PORT for port in [server]) and that by a flag.
# Secrets, URLs and public keys can be in files: HUBBUB_API__KEY_FILE=/run/secrets/api_key.
# Durations are written "25s", "5m", "1h30m", "300ms"; sizes 65536, "64KiB", "1MiB".
# `hubbub check-config` checks this file, `hubbub config show --origin` says where each value in force came from.
"""

_MARKDOWN_HEAD: Final = """\
# Configuration

<!-- Made by `hubbub config reference`. A test holds it in step with the schema. -->

Four layers, each overruling the one before:

1. the defaults below (`hubbub dev` prefers some others),
2. a TOML file: `--config`, else `$HUBBUB_CONFIG`, else `config.toml` in the working directory,
3. the environment: `HUBBUB_SECTION__KEY`, with two underscores between table and key, for example
   `HUBBUB_CLIENT__PING_INTERVAL=20s`; `MONGODB_URL`, `REDIS_URL` (with commas between several), `PORT` and
   `WEB_CONCURRENCY` as hosting platforms set them; an empty variable counts as none,
4. flags of the command.

`hubbub config show --origin` lists every value in force and where it came from. An unknown key or variable is refused,
with the one that was probably meant; a wrong value is refused with its key, its rule and its origin (exit code 3).

**Secrets** never need to be in the file or in the environment itself: where the type says secret, URL or PEM,
`HUBBUB_API__KEY_FILE=/run/secrets/api_key` (also `MONGODB_URL_FILE`) reads the value from a file. Nothing shows them.

**Types.** A duration is `"25s"`, `"5m"`, `"1h30m"` or `"300ms"`; a size is `65536`, `"64KiB"` or `"1MiB"`. In the
environment a list has commas between its values, a list of tables is a JSON array of objects.

**Insecure options** are refused by `hubbub serve` unless `server.allow_insecure_options` is true as well. They are
`client.insecure`, `client.allow_anonymous_connect_without_token`, `token.require_exp = false`, HMAC keys shorter than
their hash, and an API key of fewer than 16 characters.

**From Centrifugo:** options of channels and of `[client]` keep their names and meanings. `client.token` is `[token]`
here, `client.subscription_token` is `[subscription_token]`, `http_api.key` is `api.key`.
"""


def default_toml() -> str:
    """A configuration file that documents every key and changes nothing."""
    written: set[_Identity] = set()
    tables = [table for table in describe(Config).every_table() if table.keys]
    blocks = [_TOML_HEAD, *("\n".join(_toml_table(table, written)) for table in tables)]
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


def reference_markdown() -> str:
    """The reference: a table of keys for each section."""
    written: dict[_Identity, str] = {}
    blocks = [_MARKDOWN_HEAD, *_markdown_blocks(describe(Config), written)]
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


def shown(loaded: Loaded) -> dict[str, dict[str, object]]:
    """Every value in force by dotted key, `{"value", "origin"}`, secrets masked. JSON can hold it."""
    values: dict[str, dict[str, object]] = {}
    for table in describe(Config).every_table():
        owner = _at(loaded.config, table.path)
        for key in table.keys:
            value = show(key, getattr(owner, key.name))
            values[key.path] = {"value": value, "origin": str(loaded.origins[key.path])}
    return values


def shown_lines(loaded: Loaded, *, origin: bool, changed: bool) -> Iterator[str]:
    """`key = value` for every key (or those that are not the default), with its origin if asked for."""
    for path, entry in shown(loaded).items():
        if changed and loaded.origins[path].layer is Layer.DEFAULT:
            continue
        line = f"{path} = {_literal(entry['value'])}"
        yield f"{line}  # {entry['origin']}" if origin else line


def _toml_table(table: Section, written: set[_Identity]) -> Iterator[str]:
    yield from _comment(table.doc)
    yield f"[{table.path}]"
    for key in table.keys:
        yield ""
        # A table that inherits its keys from another one does not explain them again.
        if _identity(key) not in written:
            yield from _comment(key.rule.doc)
            written.add(_identity(key))
        yield f"# {type_name(key)}"
        yield f"#{key.name} = {_default(key)}"
        if key.rule.example:
            yield "#"
            yield from (f"#   {line}" for line in key.rule.example.splitlines())


def _markdown_blocks(table: Section, written: dict[_Identity, str]) -> Iterator[str]:
    """A table, the tables inside it, then its lists of tables: those inherit from what stands before them."""
    explained = set(written)
    if table.keys:
        yield "\n".join([f"## `[{table.path}]`", "", table.doc, "", *_markdown_keys(table, table.path, written)])
    for inner in table.tables:
        yield from _markdown_blocks(inner, written)
    for key in table.keys:
        if key.row_type is not None and _identity(key) not in explained:
            rows = _markdown_keys(describe(key.row_type), key.path, written)
            yield "\n".join([f"### `[[{key.path}]]`", "", *rows, "", "```toml", f"{key.rule.example}```"])


def _markdown_keys(table: Section, path: str, written: dict[_Identity, str]) -> Iterator[str]:
    """The keys of a table, with a word on those that were explained where it inherits them from."""
    inherited = sorted({written[_identity(key)] for key in table.keys if _identity(key) in written})
    for other in inherited:
        yield f"The keys of `[{other}]`, and:"
        yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key in table.keys:
        if _identity(key) not in written:
            written[_identity(key)] = path
            yield _markdown_row(key)


def _markdown_row(key: Key) -> str:
    default = "required" if key.rule.required and not key.default else f"`{_default(key)}`"
    cells = (f"`{key.name}`", type_name(key), default, key.rule.doc)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _identity(key: Key) -> _Identity:
    """What an inherited key has in common with its first mention."""
    return key.name, key.rule


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False):
        yield f"# {line}"


def _default(key: Key) -> str:
    if key.row_type is not None:
        return "[]"
    return _literal(kind_of(key).show(key.default))


def _literal(value: object) -> str:
    """A TOML value: JSON's, but for one character that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _at(config: Config, path: str) -> Any:
    owner: Any = config
    for name in path.split(".") if path else ():
        owner = getattr(owner, name)
    return owner
