"""The methods: name, parameters, result, and the use case behind it. RPC, REST and the descriptions all read this
table.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from chat.usecases.service import Service
from chat.vocabulary import requests, results
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import Payload

Outcome: TypeAlias = "Struct | asyncio.Future[Any]"
"""A result, or the promise of one: what is promised is done in the order of the calls, and answered when it is done."""


@dataclass(frozen=True, slots=True)
class Method:
    """`run(service, user, request)` does it. `summary` is for the descriptions."""

    name: str
    request: type[Struct]
    result: type[Struct]
    run: Callable[[Service, str, Any], Awaitable[Outcome]]
    summary: str


_TABLE: Final = (
    Method(
        "message.send",
        requests.MessageSend,
        results.MessageSent,
        lambda service, user, request: service.messages.send(user, request),
        "Send a message. Answered when it is durable; a repeated key answers with the original.",
    ),
    Method(
        "message.get",
        requests.MessageGet,
        results.MessageResult,
        lambda service, user, request: service.messages.get(user, request),
        "One message.",
    ),
    Method(
        "conversation.create",
        requests.ConversationCreate,
        results.ConversationCreated,
        lambda service, user, request: service.conversations.create(user, request),
        "Create a conversation, or find the one that the key, the external id or the pair of users stands for.",
    ),
    Method(
        "conversation.get",
        requests.ConversationGet,
        results.ConversationResult,
        lambda service, user, request: service.conversations.get(user, request),
        "One conversation as the caller sees it.",
    ),
    Method(
        "conversation.list",
        requests.ConversationList,
        results.ConversationPage,
        lambda service, user, request: service.conversations.list_of(user, request),
        "The caller's conversations, newest activity first, with last message and unread count.",
    ),
    Method(
        "conversation.update",
        requests.ConversationUpdate,
        results.ConversationResult,
        lambda service, user, request: service.conversations.update(user, request),
        "Change title or custom data.",
    ),
    Method(
        "conversation.join",
        requests.ConversationJoin,
        results.ConversationResult,
        lambda service, user, request: service.membership.join(user, request),
        "Join a channel as a reader.",
    ),
    Method(
        "conversation.leave",
        requests.ConversationLeave,
        results.Done,
        lambda service, user, request: service.membership.leave(user, request),
        "Leave a group or channel.",
    ),
    Method(
        "conversation.add_members",
        requests.ConversationAddMembers,
        results.Done,
        lambda service, user, request: service.membership.add_members(user, request),
        "Add members. Users that were never seen are created.",
    ),
    Method(
        "conversation.remove_member",
        requests.ConversationRemoveMember,
        results.Done,
        lambda service, user, request: service.membership.remove_member(user, request),
        "Remove a member below one's own role.",
    ),
    Method(
        "conversation.set_role",
        requests.ConversationSetRole,
        results.Done,
        lambda service, user, request: service.membership.set_role(user, request),
        "Change a member's role.",
    ),
    Method(
        "conversation.members",
        requests.ConversationMembers,
        results.MembersPage,
        lambda service, user, request: service.membership.members(user, request),
        "The members, by user id.",
    ),
    Method(
        "history.page",
        requests.HistoryPage,
        results.MessagePage,
        lambda service, user, request: service.history.page(user, request),
        "Messages before, after or around an offset, or from the first unread one; ascending.",
    ),
    Method(
        "read.mark",
        requests.ReadMark,
        results.ReadResult,
        lambda service, user, request: service.reading.mark(user, request),
        "Everything up to the offset is read.",
    ),
    Method(
        "typing.start",
        requests.TypingStart,
        results.Done,
        lambda service, user, request: service.people.typing_start(user, request),
        "Say that one is typing; repeat every few seconds.",
    ),
    Method(
        "typing.stop",
        requests.TypingStop,
        results.Done,
        lambda service, user, request: service.people.typing_stop(user, request),
        "Say that one has stopped.",
    ),
    Method(
        "presence.get",
        requests.PresenceGet,
        results.PresenceResult,
        lambda service, user, request: service.people.presence(user, request),
        "Who of these users is online, and when they were last seen.",
    ),
    Method(
        "user.get",
        requests.UserGet,
        results.UserResult,
        lambda service, user, request: service.people.get(user, request),
        "A user's profile.",
    ),
    Method(
        "user.update",
        requests.UserUpdate,
        results.UserResult,
        lambda service, user, request: service.people.update(user, request),
        "Change one's own profile.",
    ),
    Method(
        "sync",
        requests.Sync,
        results.SyncResult,
        lambda service, user, request: service.syncing.sync(user, request),
        "What changed in all conversations since the cursors and the revision.",
    ),
)

METHODS: Final[Mapping[str, Method]] = {method.name: method for method in _TABLE}


class Decoder:
    """Turns JSON into the parameters of a method, or says which field breaks which rule."""

    def __init__(self) -> None:
        self._decoders = {name: msgspec.json.Decoder(method.request) for name, method in METHODS.items()}

    def decode(self, name: str, data: Payload | bytes) -> Any:
        """Raises ClientError. Absent data is an empty object."""
        try:
            return self._decoders[name].decode(data or b"{}")
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ClientError(codes.BAD_REQUEST, "must be a JSON object") from None


def invalid(error: msgspec.ValidationError) -> ClientError:
    """`Expected `int` >= 0 - at `$.limit`` becomes a field and a rule.

    What is wrong with a key (`… - at `key` in `$.cursors``) is wrong with what has it.
    """
    # From the end: before it, the value of a client may be quoted.
    rule, _, path = str(error).rpartition(" - at `")
    if not rule:
        rule, path = path, ""
    field = path.removeprefix("key` in `").rstrip("`").removeprefix("$").removeprefix(".")
    if rule.startswith("Object missing required field `"):
        missing = rule.removeprefix("Object missing required field `").rstrip("`")
        return ClientError(codes.BAD_REQUEST, "is required", f"{field}.{missing}" if field else missing)
    if rule.startswith("Invalid enum value "):
        return ClientError(codes.BAD_REQUEST, "is none of the values that there are", field)
    rule = rule.replace(r"$(?!\\n)'", "$'")  # what the end of a pattern is for Python, as others write it
    return ClientError(codes.BAD_REQUEST, rule[:1].lower() + rule[1:], field)


def method(name: str) -> Method:
    """The method of this name. Raises ClientError where there is none."""
    found = METHODS.get(name)
    if found is None:
        raise ClientError(codes.NOT_AVAILABLE, f"no method {name[:64]!r}", "method")
    return found
