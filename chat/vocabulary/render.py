"""Records become what goes over the wire. Pure; the only place where that happens."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from msgspec import structs

from chat.vocabulary import events, shapes
from realtime.protocol.messages import Payload, Publication
from storage import model
from storage.model import EntryKind

CONVERSATION_PREFIX = "conv:"
USER_PREFIX = "user:"

_encoder = msgspec.json.Encoder()


def conversation_channel(conversation: str) -> str:
    return CONVERSATION_PREFIX + conversation


def threads_prefix(conversation: str) -> str:
    """What the channels of a conversation's threads begin with."""
    return f"{CONVERSATION_PREFIX}{conversation}~"


def user_channel(user: str) -> str:
    return USER_PREFIX + user


def encode(struct: msgspec.Struct) -> Payload:
    """The JSON payload of a result or an event."""
    return Payload(_encoder.encode(struct))


def position(position: model.Position) -> shapes.Position:
    return shapes.Position(position.offset, position.n)


def message(entry: model.Entry) -> shapes.Message:
    """A `MESSAGE_CREATED` entry in its present state."""
    body = entry.body
    conversation, offset, text = entry.conversation, entry.offset, body.get("text", "")
    # By position, and most have nothing but a text: a page is fifty of these.
    plain = shapes.Message(
        f"{conversation}.{offset}", conversation, offset, entry.n, entry.by, text, entry.at, entry.key
    )
    if len(body) == ("text" in body):
        return plain
    return structs.replace(
        plain,
        content=body.get("content"),
        reply_to=body.get("reply_to"),
        mentions=body.get("mentions", []),
        mentions_group=body.get("mentions_group"),
        attachments=body.get("attachments", []),
        custom=body.get("custom", {}),
        forwarded=shapes.Forwarded(**body["forwarded"]) if "forwarded" in body else None,
        version=body.get("version", 0),
        edited_at=body.get("edited_at"),
        deleted_at=body.get("deleted_at"),
        expires_at=body.get("expires_at"),
        pinned_at=body.get("pinned_at"),
        reactions=body.get("reactions", {}),
        thread=thread(body["thread"]) if "thread" in body else None,
    )


def thread(summary: Mapping[str, Any]) -> shapes.Thread:
    """The replies below a message, as its body has them."""
    last = summary.get("last_reply")
    return shapes.Thread(
        summary["conversation"], summary["replies"], None if last is None else shapes.LastReply(**last)
    )


def event(entry: model.Entry) -> msgspec.Struct:
    """The event that an entry of the log is to its readers, live, on resume and in `sync`."""
    place = (entry.conversation, entry.offset, entry.at, entry.by)
    body = entry.body
    match entry.kind:
        case EntryKind.MESSAGE_CREATED:
            return events.MessageCreated(*place, message=message(entry))
        case EntryKind.MEMBER_JOINED:
            joined = [events.JoinedMember(one["user"], one["role"]) for one in body["members"]]
            return events.MemberJoined(*place, members=joined)
        case EntryKind.MEMBER_LEFT:
            return events.MemberLeft(*place, user=body["user"], banned=body.get("banned", False))
        case EntryKind.MEMBER_CHANGED:
            return events.MemberChanged(
                *place, user=body["user"], role=body["role"], muted_until=body.get("muted_until")
            )
        case EntryKind.CONVERSATION_UPDATED:
            return _updated(entry)
        case _:
            return _of_message(entry)


def _updated(entry: model.Entry) -> events.ConversationUpdated:
    body = entry.body
    return events.ConversationUpdated(
        entry.conversation,
        entry.offset,
        entry.at,
        entry.by,
        title=body.get("title"),
        avatar_url=body.get("avatar_url"),
        description=body.get("description"),
        custom=body.get("custom"),
        settings=shapes.Settings(**body["settings"]) if "settings" in body else None,
        oldest=body.get("oldest"),
    )


def _of_message(entry: model.Entry) -> msgspec.Struct:
    """What happened to the message at `target`."""
    place = (entry.conversation, entry.offset, entry.at, entry.by)
    body = entry.body
    target: int = body["target"]
    match entry.kind:
        case EntryKind.MESSAGE_EDITED:
            edited = model.imaged(entry.conversation, target, body["message"])
            return events.MessageEdited(*place, target=target, message=message(edited))
        case EntryKind.MESSAGE_DELETED:
            return events.MessageDeleted(*place, target=target, reason=body.get("reason"))
        case EntryKind.REACTION_CHANGED:
            return events.ReactionChanged(*place, target=target, reactions=body["reactions"])
        case EntryKind.MESSAGE_PINNED:
            return events.MessagePinned(*place, target=target)
        case EntryKind.MESSAGE_UNPINNED:
            return events.MessageUnpinned(*place, target=target)
        case EntryKind.THREAD_CHANGED:
            return events.ThreadChanged(*place, target=target, thread=thread(body["thread"]))
        case _:
            raise ValueError(f"an entry of kind {entry.kind.name} is not about a message")


def publication(entry: model.Entry) -> Publication:
    """An entry as a publication of its conversation's channel."""
    return Publication(encode(event(entry)), offset=entry.offset)


def user(record: model.User, *, own: bool = False) -> shapes.User:
    """A profile; `own`: as its user sees it. When somebody was last seen is for presence to tell, who may know it."""
    return shapes.User(
        id=record.id,
        name=record.name,
        avatar_url=record.avatar_url,
        locale=record.locale,
        custom=dict(record.custom),
        last_seen_at=record.last_seen_at if own else None,
        privacy=shapes.Privacy(record.privacy.receipts, record.privacy.presence) if own else None,
    )


def member(record: model.Member) -> shapes.Member:
    """With everything; who may not see receipts gets it without them."""
    return shapes.Member(
        record.user,
        record.role.value,
        record.joined_at,
        read=position(record.read),
        delivered=_delivered(record),
        muted_until=record.muted_until,
    )


def _delivered(record: model.Member) -> shapes.Position | None:
    """What is read was received, whatever the row says."""
    delivered = max(record.delivered, record.read)
    return position(delivered) if delivered.offset else None


def conversation(
    record: model.Conversation, membership: model.Member, users: Mapping[str, model.User], mentions: int = 0
) -> shapes.Conversation:
    """A conversation as `membership.user` sees it. `users` has the peer of a direct one, if known; `mentions` counts
    unread ones.
    """
    peer = None
    if record.peers is not None:
        other = record.peers[1] if record.peers[0] == membership.user else record.peers[0]
        peer = user(users[other]) if other in users else shapes.User(id=other, name="")
    last = record.last_message
    # What was removed unread is not unread.
    read = max(membership.read, record.floor)
    # A read position may be ahead of a summary that trails the log by a second.
    head = max(record.head, read)
    return shapes.Conversation(
        id=record.id,
        kind=record.kind.value,
        title=record.title,
        custom=dict(record.custom),
        external_id=record.external_id,
        role=membership.role.value,
        members_count=record.members_count,
        peer=peer,
        parent=record.parent,
        head=position(head),
        read=position(read),
        unread=max(0, head.n - read.n),
        last_message=None if last is None else shapes.LastMessage(**asdict(last)),
        activity_at=record.activity_at,
        created_at=record.created_at,
        updated_at=record.updated_at,
        avatar_url=record.avatar_url,
        description=record.description,
        settings=shapes.Settings(**asdict(record.settings)),
        preferences=preferences(membership.preferences),
        delivered=_delivered(membership),
        mentions=mentions,
        unread_from=membership.unread_from,
        pins=list(record.pins),
        oldest=record.oldest,
        muted_until=membership.muted_until,
    )


def preferences(record: model.Preferences) -> shapes.Preferences:
    return shapes.Preferences(record.archived_at, record.pinned_at, record.muted_until, record.notify)
