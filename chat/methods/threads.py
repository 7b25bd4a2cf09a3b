"""Following threads. They are written to and read as any conversation."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import shapes, threads

METHODS: Final = (
    Method(
        "thread.list",
        threads.ThreadList,
        threads.ThreadPage,
        lambda service, user, request: service.threads.list_of(user, request),
        "The threads that the caller follows, newest activity first, with unread count.",
    ),
    Method(
        "thread.follow",
        threads.ThreadFollow,
        threads.ThreadResult,
        lambda service, user, request: service.threads.follow(user, request),
        "Follow a thread: be told of replies, and count them as unread.",
    ),
    Method(
        "thread.unfollow",
        threads.ThreadUnfollow,
        shapes.Done,
        lambda service, user, request: service.threads.unfollow(user, request),
        "Follow a thread no longer.",
    ),
)
