"""Users, presence and typing."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import people, shapes

METHODS: Final = (
    Method(
        "typing.start",
        people.TypingStart,
        shapes.Done,
        lambda service, user, request: service.typing.start(user, request),
        "Say that one is typing; repeat it every few seconds, it ends by itself.",
    ),
    Method(
        "typing.stop",
        people.TypingStop,
        shapes.Done,
        lambda service, user, request: service.typing.stop(user, request),
        "Say that one has stopped.",
    ),
    Method(
        "presence.get",
        people.PresenceGet,
        people.PresenceResult,
        lambda service, user, request: service.presence.get(user, request),
        "Who of these users is online, and when they were last seen, of those with whom one shares a conversation.",
    ),
    Method(
        "user.get",
        people.UserGet,
        people.UserResult,
        lambda service, user, request: service.people.get(user, request),
        "A user's profile.",
    ),
    Method(
        "user.update",
        people.UserUpdate,
        people.UserResult,
        lambda service, user, request: service.people.update(user, request),
        "Change one's own profile.",
    ),
)
