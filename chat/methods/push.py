"""Why a device rang, or did not."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import push, shapes

METHODS: Final = (
    Method(
        "push.trace",
        push.PushTrace,
        push.PushTraceResult,
        lambda service, user, request: service.ringing.trace(user, request),
        "Why the caller's devices rang for a message, or did not.",
    ),
    Method(
        "push.ack",
        push.PushAck,
        shapes.Done,
        lambda service, user, request: service.ringing.ack(user, request),
        "Say that a notification was shown.",
    ),
    Method(
        "push.test",
        push.PushTest,
        push.PushTestResult,
        lambda service, user, request: service.ringing.test(user, request),
        "Have a test sent to one of the caller's devices.",
    ),
)
