"""Why a device rang, or did not: what the methods take and return."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from chat.vocabulary.devices import DeviceName
from chat.vocabulary.types import ConversationId

_END: Final = r"$(?!\n)"

Offset = Annotated[int, Meta(ge=1, le=9_007_199_254_740_991)]
JobId = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{_END}",
        description="the `job_id` of a notification",
    ),
]


class PushTrace(Struct, frozen=True):
    """What became of one message on its way to the caller's devices, in the last 72 hours; of one `device`, if it is
    given.
    """

    conversation: ConversationId
    offset: Offset
    device: DeviceName | None = None


class PushStep(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One step, about the messages from `since` to `upto`.

    `step`: `planned`, `decided`, `answered` by the provider, `ended`, `confirmed` by the device. `outcome` is what came
    of it, and `reason` why, as in the tables of the page about push. Without a `device` it is about all of the
    caller's; one that is not registered any more has the id of the server. `until`: when it goes on.
    """

    at: int
    step: str
    outcome: str
    since: int
    upto: int
    reason: str = ""
    device: str = ""
    provider: str = ""
    until: int | None = None
    attempt: int = 0
    job: str = ""


class PushTraceResult(Struct, frozen=True):
    """In the order of time."""

    steps: list[PushStep]


class PushAck(Struct, frozen=True):
    """To be said by an app that has shown a notification; may be repeated."""

    device: DeviceName
    job: JobId


class PushTest(Struct, frozen=True):
    """Goes the way of every notification, the caller's rules included."""

    device: DeviceName


class PushTestResult(Struct, frozen=True):
    """What to ask `push.trace` for. The conversation is none that there is."""

    conversation: str
    offset: int
