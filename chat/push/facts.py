"""From what is unread to what the policy decides by. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chat.push.policy import GONE, DeviceState, Facts, MessageClass, PolicySettings, mentions_only
from chat.push.ports import Message, Unread
from chat.push.timing import DoNotDisturb, quiet_until
from storage.model.notifying import PushPreferences
from storage.model.push import Job

NO_WISHES: Final = PushPreferences()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is around a job at `now` (ms UTC). `states`: of the user's devices, by id, as far as they are known.

    `rang`: when the device rang for each conversation, in the last minute or since do-not-disturb was over.
    `time_zone`: where the device is, for users who have not said where they are.
    """

    now: int
    preferences: PushPreferences = NO_WISHES
    time_zone: str = ""
    states: Mapping[str, DeviceState] = field(default_factory=dict)
    rang: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Weighed:
    """The facts, and of what is to be told if they say so: all unread messages that concern the user, ascending.

    `upto`: the newest offset that was looked at.
    """

    facts: Facts
    told: tuple[Message, ...]
    upto: int


def weigh(job: Job, unread: Unread, around: Circumstances, settings: PolicySettings) -> Weighed:
    """The facts of a job by what is unread now.

    A doubt covers several messages. If some of them would be told of on their own, the facts are those of these; else
    they are those of the first that is neither the user's own, nor deleted, nor by somebody blocked.
    """
    notify = unread.notify or around.preferences.notify
    level = Facts(now=around.now, upto=job.upto, at=0, members_count=unread.members_count, notify=notify)
    needs_mention = mentions_only(level, settings)
    muted_until = unread.muted_until

    def concerns(message: Message) -> bool:
        return _is_heard(message, unread) and not (
            (muted_until is not None and message.at < muted_until) or (needs_mention and not message.mentions)
        )

    upto = max(job.upto, unread.messages[-1].offset if unread.messages else 0)
    told = tuple(filter(concerns, unread.messages))
    decided = max(job.covered, unread.read)
    news = [message for message in unread.messages if message.offset > decided]
    concerning = [message for message in told if message.offset > decided]
    heard = [message for message in news if _is_heard(message, unread)]
    first = next(iter(concerning or heard or news), None)
    is_update = not job.is_news and not news
    facts = Facts(
        now=around.now,
        upto=upto,
        at=job.made_at if first is None else first.at,
        member=unread.member,
        own=bool(news) and all(message.by == unread.user for message in news),
        blocked=bool(news) and all(message.by == unread.user or message.by in unread.blocked for message in news),
        message_class=MessageClass.EDIT if is_update else MessageClass.MESSAGE,
        nothing_left=unread.read < upto and not (told if is_update else heard),
        mentioned=any(message.mentions for message in (concerning or told)),
        members_count=unread.members_count,
        muted_until=None if is_update else muted_until,
        notify=notify,
        read=unread.read,
        shown=job.shown,
        quiet_until=_quiet_until(around),
        device=around.states.get(job.device, GONE),
        others=tuple(state for device, state in around.states.items() if device != job.device),
        rang_at=job.rang_at,
        device_rang=sum(around.now - at < 60_000 for at in around.rang),
        rang_since_quiet=_rang_since_quiet(job, around),
    )
    return Weighed(facts, told, upto)


def _is_heard(message: Message, unread: Unread) -> bool:
    return not message.deleted and message.by != unread.user and message.by not in unread.blocked


def _quiet_until(around: Circumstances) -> int | None:
    wishes = around.preferences
    zone = wishes.time_zone or around.time_zone or "UTC"
    return quiet_until(DoNotDisturb(zone, wishes.quiet, wishes.snoozed_until), around.now)


def _rang_since_quiet(job: Job, around: Circumstances) -> bool:
    """After a night the device rings once, however many conversations have waited for its end."""
    return job.waited == "do_not_disturb" and any(at >= job.waited_until for at in around.rang)
