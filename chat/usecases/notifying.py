"""What rings: a user's push preferences, the same on all devices."""

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import UNSET, UnsetType, structs

from chat.usecases.checking import check_until
from chat.usecases.devices import check_time_zone
from chat.usecases.failures import told
from chat.vocabulary import devices as words
from chat.vocabulary.devices import PushPreferencesChange, PushPreferencesResult
from storage.model.notifying import ContentMode, Notify, PushPreferences, QuietHours
from storage.store import Store

EVERY_DAY: Final = range(7)


class Notifying:
    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms

    async def preferences(self, user: str, request: PushPreferencesChange) -> PushPreferencesResult:
        """Change what is given, and tell how it is now. Raises ClientError."""
        at = self._clock_ms()
        if not isinstance(request.time_zone, UnsetType):
            check_time_zone(request.time_zone, "time_zone")
        if request.snoozed_until:
            check_until(request.snoozed_until, at, "snoozed_until")
        with told():
            if all(value is UNSET for value in structs.astuple(request)):
                kept = await self._store.notifying.get(user)
            else:
                kept = await self._store.notifying.change(user, partial(changed, request))
                await self._store.push_jobs.reconsider(user, now=at)
        return PushPreferencesResult(rendered(kept, at))


def changed(request: PushPreferencesChange, present: PushPreferences) -> PushPreferences:
    """What is asked for, on top of what is so. Pure."""
    content, notify, quiet = present.content, present.notify, present.quiet
    if not isinstance(request.content, UnsetType):
        content = None if request.content == "default" else ContentMode(request.content)
    if not isinstance(request.notify, UnsetType):
        notify = None if request.notify == "default" else Notify(request.notify)
    if not isinstance(request.quiet, UnsetType):
        quiet = tuple(QuietHours(one.start, one.end, tuple(sorted({*one.days} or EVERY_DAY))) for one in request.quiet)
    time_zone = present.time_zone if isinstance(request.time_zone, UnsetType) else request.time_zone
    until = present.snoozed_until if isinstance(request.snoozed_until, UnsetType) else request.snoozed_until or None
    return PushPreferences(content, notify, quiet, time_zone, until)


def rendered(preferences: PushPreferences, at: int) -> words.PushPreferences:
    """As the user sees them. Pure."""
    until = preferences.snoozed_until or 0
    return words.PushPreferences(
        content=preferences.content or "default",
        notify=preferences.notify or "default",
        quiet=[words.QuietHours(one.start, one.end, list(one.days)) for one in preferences.quiet],
        time_zone=preferences.time_zone,
        snoozed_until=until if until > at else 0,
    )
