"""Entries as documents of the log. Names are short because every message carries them; pure.

    _id  "<conversation>:<offset>"    c  conversation    u  by          k  idempotency key    t  at     n  n
    y  kind (absent: message.created)   x  text   r  reply_to   m  mentions   w  meant   e  expires_at
    f  uploads that the message uses: told by its attachments, here for the index
    j  the rest of the body as JSON text

The rest of a body is JSON text because it is the application's: any name, any depth and any number comes back as it was
put in, which BSON does not promise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import structlog
from bson import Binary

from storage.errors import Invalid
from storage.model import Entry, EntryKind, NewEntry, Position, uploads_of
from storage.model.keys import log_key, parse_log_key
from storage.mongo.client import Document

_logger = structlog.get_logger(__name__)

MAX_ENTRY_BYTES: Final = 256 * 1024
"""An entry may be as large as a whole batch. Callers refuse far earlier; this keeps a batch from being refused."""

BODY_FIELDS: Final = ("x", "r", "m", "w", "e", "f", "j")
"""The fields that hold a body; the others say where an entry is and whose."""

MAX_KEY_LENGTH: Final = 128
_OVERHEAD_BYTES: Final = 128
_READABLE_BYTES: Final = 2 * MAX_ENTRY_BYTES
"""Nothing of this size was ever stored by `prepare`, and nobody could be given it."""
_UUID_SUBTYPE: Final = 4
_PLAIN_FIELDS: Final = 7
"""As many has a message with nothing but a text, which most are."""

_KINDS: Final = {kind.value: kind for kind in EntryKind}

KeyIdentity: TypeAlias = str | bytes
"""What tells keys apart: the 16 bytes of a UUID, the text of any other key, the 12 bytes that stand for no key."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new entry checked and turned into the fields of its document that do not depend on its place.

    With its sender, `key` identifies the entry within the conversation.
    """

    fields: Document
    key: KeyIdentity
    size_bytes: int


def prepare(new: NewEntry, *, own_key: Callable[[], bytes]) -> Prepared:
    """Check everything that could make MongoDB refuse the document, so that one entry never fails a batch of others.

    `own_key` gives the identity of an entry that has no idempotency key: a repeat after an unknown outcome is then
    found like any other. Raises Invalid.
    """
    try:
        key = key_identity(new.key) if new.key is not None else own_key()
        fields: Document = {"c": new.conversation, "u": new.by, "k": stored_key(key), "t": new.at}
        size = _OVERHEAD_BYTES + 2 * len(new.conversation.encode()) + len(new.by.encode()) + len(key)
        size += _put_body(fields, new.kind, new.body)
    except UnicodeEncodeError as error:
        raise Invalid("text that is not valid Unicode") from error
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise Invalid(f"not storable: {error}") from error
    if not -(2**63) <= new.at < 2**63:
        raise Invalid("a time beyond 64 bits")
    if size > MAX_ENTRY_BYTES:
        raise Invalid(f"an entry of {size} bytes, at most {MAX_ENTRY_BYTES} fit")
    return Prepared(fields, key, size)


def body_fields(kind: EntryKind, body: Mapping[str, Any]) -> Document:
    """The fields that a body takes in its document. Raises Invalid."""
    fields: Document = {}
    try:
        size = _OVERHEAD_BYTES + _put_body(fields, kind, body)
    except UnicodeEncodeError as error:
        raise Invalid("text that is not valid Unicode") from error
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise Invalid(f"not storable: {error}") from error
    if size > MAX_ENTRY_BYTES:
        raise Invalid(f"an entry of {size} bytes, at most {MAX_ENTRY_BYTES} fit")
    return fields


def document_of(fields: Document, conversation: str, offset: int, n: int) -> Document:
    """The document of a prepared entry at its place."""
    return {"_id": log_key(conversation, offset), **fields, "n": n}


def entry_of(document: Mapping[str, Any]) -> Entry:
    """The entry that a document of the log holds.

    What nobody can read (written by hand, by a newer version, broken) keeps its place all the same, else nobody would
    get past it: a message reads as one that was deleted, anything else as a change of the conversation that changes
    nothing.
    """
    conversation, offset = parse_log_key(document["_id"])
    try:
        return _read(document, conversation, offset)
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
        _logger.warning("entry_unreadable", entry=document["_id"], error=repr(error)[:200])
        return _unreadable(document, conversation, offset)


def _read(document: Mapping[str, Any], conversation: str, offset: int) -> Entry:
    # By position, and without a function for each field: a page of history is fifty of these.
    n, by, at, stored = document["n"], document["u"], document["t"], document["k"]
    if not (isinstance(n, int) and isinstance(by, str) and isinstance(at, int)):
        raise TypeError("a count, a sender or a time that is none")
    kind = _KINDS[document.get("y", 0)]
    if isinstance(stored, bytes):
        key = _spell(stored) if isinstance(stored, Binary) else None
    else:
        key = stored if isinstance(stored, str) else None
    return Entry(conversation, offset, int(n), kind, by, int(at), key, _body_of(document))


def _unreadable(document: Mapping[str, Any], conversation: str, offset: int) -> Entry:
    """What can be said of an entry that is none."""
    n, by, at = document.get("n"), document.get("u"), document.get("t")
    when = at if isinstance(at, int) else 0
    is_message = document.get("y", 0) == EntryKind.MESSAGE_CREATED
    return Entry(
        conversation=conversation,
        offset=offset,
        n=n if isinstance(n, int) else 0,
        kind=EntryKind.MESSAGE_CREATED if is_message else EntryKind.CONVERSATION_UPDATED,
        by=by if isinstance(by, str) else "",
        at=when,
        key=None,
        body={"deleted_at": when} if is_message else {},
    )


def position_of(document: Mapping[str, Any]) -> Position:
    """The place of a document of which only `_id` and `n` may have been read."""
    n = document.get("n")
    # Without a count that can be read it begins anew: better than a conversation that nobody can write to.
    return Position(parse_log_key(document["_id"])[1], n if isinstance(n, int) else 0)


def size_of(document: Mapping[str, Any]) -> int:
    """About how many bytes the entry takes, as `Prepared.size_bytes` has it, from characters instead of bytes."""
    try:
        return (
            _OVERHEAD_BYTES + len(document.get("x", "")) + len(document.get("j", "")) + 40 * len(document.get("m", ()))
        )
    except TypeError:
        # One of them is no field of ours, and nobody will read it.
        return _OVERHEAD_BYTES


def key_identity(key: str) -> KeyIdentity:
    """What tells this idempotency key from others. Raises Invalid when it is none."""
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise Invalid(f"an idempotency key has 1 to {MAX_KEY_LENGTH} printable characters")
    if len(key) == 36 and key[8] == "-":
        try:
            raw = bytes.fromhex(key.replace("-", ""))
        except ValueError:
            raw = b""
        # Only the usual spelling: any other one is another key to the client that chose it.
        if len(raw) == 16 and _spell(raw) == key:
            return raw
    return key


def stored_key(identity: KeyIdentity) -> object:
    """The key as it is stored: a UUID as such."""
    return Binary(identity, _UUID_SUBTYPE) if isinstance(identity, bytes) and len(identity) == 16 else identity


def identity_of(document: Mapping[str, Any]) -> KeyIdentity:
    """What tells the document's key from others."""
    stored: KeyIdentity = document["k"]
    return stored if isinstance(stored, str) else bytes(stored)


def _spell(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _put_body(fields: Document, kind: EntryKind, body: Mapping[str, Any]) -> int:
    """Add the body to the fields; returns its size in bytes."""
    size = 0
    rest = body
    if kind is EntryKind.MESSAGE_CREATED:
        rest = {}
        for name, value in body.items():
            match name, value:
                case "text", str():
                    fields["x"] = value
                    size += len(value.encode())
                case "reply_to", int() if 0 <= value < 2**53:
                    fields["r"] = value
                case "mentions", list() | tuple():
                    fields["m"] = [_text(user) for user in value]
                    size += sum(len(user.encode()) + 8 for user in value)
                case "meant", list() | tuple():
                    fields["w"] = [_text(who) for who in value]
                    size += sum(len(who.encode()) + 40 for who in value)
                case "expires_at", int() if 0 <= value < 2**53:
                    fields["e"] = value
                case "text" | "reply_to" | "mentions" | "meant" | "expires_at", _:
                    raise TypeError(f"{name} is of the wrong type")
                case _:
                    rest[name] = value
        if used := uploads_of(body):
            fields["f"] = used
            size += sum(len(upload.encode()) + 40 for upload in used)
    else:
        fields["y"] = int(kind)
    if rest:
        encoded = msgspec.json.encode(rest)
        fields["j"] = encoded.decode()
        size += len(encoded)
    return size


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text that is none")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a number that is none")
    return int(value)


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("a list that is none")
    return [_text(one) for one in value]


def _body_of(document: Mapping[str, Any]) -> dict[str, Any]:
    if size_of(document) > _READABLE_BYTES:
        raise ValueError("larger than anything that was ever stored by this product")
    body: dict[str, Any] = {}
    if "x" in document:
        body["text"] = _text(document["x"])
        if len(document) == _PLAIN_FIELDS:
            return body
    if "r" in document:
        body["reply_to"] = _integer(document["r"])
    if "m" in document:
        body["mentions"] = _texts(document["m"])
    if "w" in document:
        body["meant"] = _texts(document["w"])
    if "e" in document:
        body["expires_at"] = _integer(document["e"])
    if "j" in document:
        body.update(msgspec.json.decode(document["j"], type=dict[str, Any]))
    return body
