"""What is to be told to devices, what could not be, and what became of it. Times are integer milliseconds UTC."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NUMBER: Final = ""
"""In place of a conversation: the job, and the row, of the number on a device's icon."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A device may have something unread in a conversation: messages from `since` to `upto`. It says nothing of them.

    To be looked at when it is `due_at`; of no use to anybody from `ends_at` on. `lane` is what fails and waits
    together.
    """

    device: str
    user: str
    conversation: str
    lane: str
    since: int
    upto: int
    due_at: int
    ends_at: int

    @property
    def key(self) -> str:
        """The row's id."""
        return job_key(self.device, self.conversation)


@dataclass(frozen=True, slots=True)
class Job:
    """A doubt that a worker has claimed, with what is known of the device and the conversation.

    `made_at`: when the first of its messages made it. `attempts`: how often it was sent in vain. `waited`: the reason
    for which it waited last, until `waited_until`. `touched` counts what happened to messages that it had told of
    already. `covered`: up to here everything was decided; `shown`: up to here the notification on the device's screen
    tells, 0 if there is none; `rang_at`: when it last made a sound there. `claim` names the lease, which ends at
    `leased_until`; `resumed`: since the job was last done, whoever had it did not give it back.

    Of the row of the number: `badge` is the one that the device was told last, None if that is not known, and
    `numbered_at` when it was last told one by itself.
    """

    device: str
    user: str
    conversation: str
    lane: str
    since: int
    upto: int
    due_at: int
    ends_at: int
    made_at: int
    claim: str
    leased_until: int
    attempts: int = 0
    waited: str = ""
    waited_until: int = 0
    touched: int = 0
    covered: int = 0
    shown: int = 0
    rang_at: int | None = None
    resumed: bool = False
    badge: int | None = None
    numbered_at: int = 0

    @property
    def key(self) -> str:
        """The row's id."""
        return job_key(self.device, self.conversation)

    @property
    def is_number(self) -> bool:
        """Whether it is about the number on the device's icon, and no conversation."""
        return self.conversation == NUMBER

    @property
    def may_be_shown(self) -> bool:
        """Whether something of the conversation is on the device's screen, or may be: what was sent in vain, or by
        somebody who did not live to say so.
        """
        return bool(self.shown or self.attempts or self.resumed)

    @property
    def is_news(self) -> bool:
        """Whether there are messages that nothing was decided about. Else only what is shown may have changed."""
        return self.upto > self.covered


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that was given up, kept for somebody to look at and replay."""

    id: str
    device: str
    user: str
    conversation: str
    lane: str
    since: int
    upto: int
    attempts: int
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A provider has asked to be left alone until then (ms UTC): a whole lane, or one of its origins."""

    lane: str
    origin: str
    until: int
    reason: str


class Step(StrEnum):
    """What a trace tells of. The values are stored and told."""

    PLANNED = "planned"
    DECIDED = "decided"
    ANSWERED = "answered"
    ENDED = "ended"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Trace:
    """One step on the way of the messages from `since` to `upto` of a conversation to a device.

    Without a device it is about all of the user's, without a user about everybody. `outcome` is what came of the step
    and `reason` why. `until`: when it goes on. `job`: the id that the device gets with the notification; what is
    `confirmed` has that and no conversation, until it is found by message. Never has a text, a token or an address.
    """

    at: int
    step: Step
    conversation: str
    since: int
    upto: int
    outcome: str
    reason: str = ""
    user: str = ""
    device: str = ""
    lane: str = ""
    until: int | None = None
    attempt: int = 0
    job: str = ""
    provider_id: str = ""


def job_key(device: str, conversation: str) -> str:
    """No id of a conversation has the bar."""
    return f"{device}|{conversation}"
