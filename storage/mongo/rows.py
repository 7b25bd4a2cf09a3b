"""Conversations, members and users as documents. Rows are few, so their fields have the names of the wire; pure."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec

from storage.errors import Invalid
from storage.model import (
    ORIGIN,
    Conversation,
    ConversationKind,
    ConversationSettings,
    LastMessage,
    Member,
    Membership,
    Notify,
    Position,
    Preferences,
    Privacy,
    Role,
    User,
)
from storage.mongo.client import Document

MAX_CUSTOM_BYTES: Final = 64 * 1024

_ROLES: Final = {role.value: role for role in Role}
"""Looking one up takes a tenth of what making one takes."""

# What a membership needs of its conversation, and no more.
HEAD_FIELDS: Final = {"head": 1, "activity_at": 1, "oldest": 1, "oldest_n": 1}


def member_key(conversation: str, user: str) -> str:
    """The key of a membership row. No conversation id contains the bar, so the first one ends it."""
    return f"{conversation}|{user}"


def member_bounds(conversation: str, after: str) -> dict[str, str]:
    """The keys of a conversation's rows of users after that one."""
    return {"$gt": member_key(conversation, after), "$lt": f"{conversation}}}"}


def position_document(position: Position) -> Document:
    """`offset` comes first: MongoDB compares documents field by field, so `$max` moves a position only forward."""
    return {"offset": position.offset, "n": position.n}


def position_of(document: Mapping[str, Any]) -> Position:
    """The position that a document holds."""
    return Position(int(document["offset"]), int(document["n"]))


def custom_text(custom: Mapping[str, Any]) -> str | None:
    """What the application attached, as JSON text: anything in it comes back as it was. Raises Invalid."""
    if not custom:
        return None
    try:
        text = msgspec.json.encode(custom)
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError, msgspec.MsgspecError) as error:
        raise Invalid(f"custom: not storable: {error}") from error
    if len(text) > MAX_CUSTOM_BYTES:
        raise Invalid(f"custom: {len(text)} bytes, at most {MAX_CUSTOM_BYTES} fit")
    return text.decode()


def text(value: str, name: str) -> str:
    """A text that MongoDB can hold. Raises Invalid."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"{name}: text that is not valid Unicode") from error
    return value


def conversation_document(conversation: Conversation, *, idempotency_key: str | None = None) -> Document:
    """A new conversation's row. What is absent is left out, so that partial indexes leave it out too."""
    document: Document = {
        "_id": conversation.id,
        "kind": conversation.kind.value,
        "title": text(conversation.title, "title"),
        "created_by": conversation.created_by,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "members_count": conversation.members_count,
        "head": position_document(conversation.head),
        "activity_at": conversation.activity_at,
        "custom": custom_text(conversation.custom),
        "external_id": conversation.external_id,
        "idempotency_key": idempotency_key,
        "parent": conversation.parent,
        "peers": list(conversation.peers) if conversation.peers else None,
        "avatar_url": text(conversation.avatar_url, "avatar_url") or None,
        "description": text(conversation.description, "description") or None,
        "settings": settings_document(conversation.settings) or None,
        # When the oldest entry that is retained was made; retention goes by it.
        "oldest_at": conversation.created_at,
    }
    return {name: value for name, value in document.items() if value is not None}


def settings_document(settings: ConversationSettings) -> Document:
    """What is set; a rule that is off is left out."""
    return {name: value for name, value in asdict(settings).items() if value}


def conversation_of(document: Mapping[str, Any]) -> Conversation:
    """The conversation that a row holds."""
    last = document.get("last_message")
    peers = document.get("peers")
    return Conversation(
        id=document["_id"],
        kind=ConversationKind(document["kind"]),
        title=document["title"],
        custom=_custom_of(document),
        external_id=document.get("external_id"),
        created_by=document["created_by"],
        created_at=int(document["created_at"]),
        updated_at=int(document["updated_at"]),
        members_count=int(document["members_count"]),
        head=position_of(document["head"]),
        last_message=LastMessage(
            int(last["offset"]),
            last["sender"],
            last["text"],
            int(last["created_at"]),
            _integer(last, "deleted_at"),
        )
        if last
        else None,
        activity_at=int(document["activity_at"]),
        parent=document.get("parent"),
        peers=(peers[0], peers[1]) if peers else None,
        avatar_url=document.get("avatar_url", ""),
        description=document.get("description", ""),
        settings=ConversationSettings(**_integers(document.get("settings", {}))),
        pins=tuple(int(offset) for offset in document.get("pins", ())),
        oldest=int(document.get("oldest", 1)),
        oldest_n=int(document.get("oldest_n", 0)),
    )


def member_of(document: Mapping[str, Any]) -> Member:
    """The member that a row holds."""
    delivered = document.get("delivered")
    return Member(
        conversation=document["conversation"],
        user=document["user"],
        role=_ROLES[document["role"]],
        joined_at=int(document["joined_at"]),
        joined_offset=int(document["joined_offset"]),
        read=position_of(document["read"]),
        revision=int(document["revision"]),
        left_at=_integer(document, "left_at"),
        banned_at=_integer(document, "banned_at"),
        banned_until=_integer(document, "banned_until"),
        muted_until=_integer(document, "muted_until"),
        delivered=ORIGIN if delivered is None else position_of(delivered),
        unread_from=_integer(document, "unread_from"),
        preferences=_preferences_of(document.get("preferences", {})),
        hides=document.get("hides", False),
    )


def membership_of(member: Mapping[str, Any], conversation: Mapping[str, Any]) -> Membership:
    """A member's row together with the `HEAD_FIELDS` of its conversation. What was removed unread is not unread."""
    floor = Position(int(conversation.get("oldest", 1)) - 1, int(conversation.get("oldest_n", 0)))
    return Membership(
        conversation=member["conversation"],
        role=_ROLES[member["role"]],
        joined_offset=int(member["joined_offset"]),
        head=position_of(conversation["head"]),
        read=max(position_of(member["read"]), floor),
        activity_at=int(conversation["activity_at"]),
        oldest=floor.offset + 1,
    )


def user_defaults(at: int) -> Document:
    """The fields of a user of whom nothing is known but the id."""
    return {"name": "", "avatar_url": "", "locale": "", "created_at": at}


def user_of(document: Mapping[str, Any]) -> User:
    """The user that a row holds."""
    return User(
        id=document["_id"],
        name=document["name"],
        avatar_url=document["avatar_url"],
        locale=document["locale"],
        custom=_custom_of(document),
        last_seen_at=_integer(document, "last_seen_at"),
        revision=int(document.get("revision", 0)),
        created_at=int(document["created_at"]),
        privacy=Privacy(**document.get("privacy", {})),
    )


def _integer(document: Mapping[str, Any], name: str) -> int | None:
    value = document.get(name)
    return None if value is None else int(value)


def _integers(document: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in document.items()}


def _preferences_of(document: Mapping[str, Any]) -> Preferences:
    notify = document.get("notify")
    times = _integers({name: value for name, value in document.items() if name != "notify"})
    return Preferences(**times, notify=None if notify is None else Notify(notify))


def _custom_of(document: Mapping[str, Any]) -> dict[str, Any]:
    text = document.get("custom")
    custom: dict[str, Any] = msgspec.json.decode(text) if text else {}
    return custom
