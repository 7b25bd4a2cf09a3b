"""What the settings of a MongoDB deployment will cost somebody later. Nothing here stops a start."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from storage.errors import StorageError
from storage.mongo.client import Database, translated

ADVISED_TRANSACTION_LIFETIME_S: Final = 10
TOLERATED_SKEW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Advice:
    """`what` was found, `why` it matters, and the `command` or change that helps."""

    what: str
    why: str
    command: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server says of itself. None where it did not say, as where a role does not allow to ask."""

    transaction_lifetime_s: int | None = None
    majority_is_journaled: bool | None = None
    members: int | None = None
    ahead_s: float | None = None
    """How far its clock is ahead of ours."""


def advise(settings: Settings) -> Iterator[Advice]:
    """What to change, most important first."""
    if settings.majority_is_journaled is False:
        yield Advice(
            "MongoDB counts a majority before it is on disk (writeConcernMajorityJournalDefault is false)",
            "a loss of power may take back what was acknowledged",
            "rs.reconfig with writeConcernMajorityJournalDefault: true",
        )
    if settings.members == 1:
        yield Advice(
            "the replica set has one member",
            "while it is away nothing can be sent, and what is on its disk is nowhere else",
            "rs.add two more members",
        )
    lifetime_s = settings.transaction_lifetime_s
    if lifetime_s is not None and lifetime_s > ADVISED_TRANSACTION_LIFETIME_S:
        yield Advice(
            f"MongoDB keeps an abandoned transaction open for {lifetime_s} s",
            "a conversation in which a process was killed at the wrong moment cannot be written to for as long",
            f"mongod --setParameter transactionLifetimeLimitSeconds={ADVISED_TRANSACTION_LIFETIME_S}",
        )
    if settings.ahead_s is not None and abs(settings.ahead_s) > TOLERATED_SKEW_S:
        yield Advice(
            f"the clocks of this machine and of MongoDB are {abs(settings.ahead_s):.0f} s apart",
            "tokens expire too soon or too late, and times of messages are wrong (their order is not)",
            "run an NTP client on both",
        )


async def ask(db: Database) -> Settings:
    """Ask the server. Parts that its role does not show stay None. Raises Unavailable when it does not answer."""
    parameters = await _said(db, {"getParameter": 1, "transactionLifetimeLimitSeconds": 1})
    config = (await _said(db, {"replSetGetConfig": 1})).get("config", {})
    hello = await _said(db, {"hello": 1})
    now = hello.get("localTime")
    return Settings(
        transaction_lifetime_s=parameters.get("transactionLifetimeLimitSeconds"),
        majority_is_journaled=config.get("writeConcernMajorityJournalDefault"),
        members=len(hello["hosts"]) if "hosts" in hello else None,
        ahead_s=None if now is None else now.replace(tzinfo=UTC).timestamp() - time.time(),
    )


async def _said(db: Database, command: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        with translated():
            answer: Mapping[str, Any] = await db.client["admin"].command(dict(command))
    except StorageError as error:
        if type(error) is not StorageError:
            raise
        return {}  # refused: not everybody may ask
    return answer
