"""Phones, and push services that do what none should, while the worker that sends is killed as well: F29, I9."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from chaos import hostile
from chaos.configuring import DATABASE
from chaos.fault import Fault, Run, Topology
from chaos.faults.looking import Watch, acks_go_on, now, percentile, watching
from chaos.faults.ward import PLATFORMS, Ward, counting, open_ward
from chaos.hostile import Hostile
from chaos.pocket import Came, Carried
from chat.push.dispatcher import DispatcherSettings
from chat.push.lab.webpush import HANG
from chat.push.settling import DeliverySettings
from storage.mongo.client import connect

RING_WITHIN_S: Final = 8.0
"""From an acknowledgement to the sound: `push.delay` is 1.5 s of it. More on a machine that is busy."""
KILLED_WITHIN_S: Final = DispatcherSettings().lease_ms / 1000 + 20.0
"""The same where the worker was killed: until leases end, what it was at is nobody's, and its place in the log too."""
READ_WITHIN_S: Final = 1.0
"""After which nothing rings that was read: what was on its way just then is not called back."""
ANSWER_S: Final = 9.0
"""Nearly what senders wait for an answer: what was not answered by then is rightly sent again."""
RETRY_AFTER_S: Final = 12
REFUSALS: Final = 2
REPLY_BYTES: Final = 30 << 20
GROWTH_BYTES: Final = 24 << 20
"""What a worker may grow by: less than one such reply."""
GIVEN_UP_WITHIN_S: Final = 330.0
"""Five attempts of 10 s, the pauses between them, and a lease that the killed worker left."""
ILL_SAYS: Final = 14
BURST: Final = 8
ATTEMPTS: Final = DeliverySettings().attempts


@dataclass
class Ill:
    """Devices of people in one conversation, by what is wrong with them. `strange`: the push services of strangers."""

    conversation: str
    devices: dict[str, str] = field(default_factory=dict)
    """Ids, by what is wrong."""
    strange: dict[str, Hostile] = field(default_factory=dict)


GONE: Final = ("404", "410", "app removed from an iPhone", "app removed from an Android")
GIVEN_UP: Final = (
    *("hangs", "hangs where others are well", "resets", "floods", "an answer that nobody knows", "leads elsewhere"),
)
BEHAVIOURS: Final[Mapping[str, hostile.Behaviour]] = {
    "404": hostile.says(404),
    "410": hostile.says(410),
    "busy": hostile.busy(RETRY_AFTER_S, times=REFUSALS),
    "hangs": hostile.hangs,
    "resets": hostile.resets,
    "floods": hostile.floods(REPLY_BYTES),
    "an answer that nobody knows": hostile.says(599),
    "leads elsewhere": hostile.says(307, "Location: http://169.254.169.254/latest/meta-data/"),
}


@asynccontextmanager
async def poisonous(run: Run) -> AsyncIterator[None]:
    """Somebody has three good phones and is told of one conversation after the other; people of the run have phones
    too. Beside them are devices whose push services are poison. In the middle of it the worker is killed.
    """
    cluster: Any = run.cluster
    async with (
        connect(cluster.mongodb_url, DATABASE) as database,
        watching(run) as watch,
        AsyncExitStack() as stack,
        open_ward(run, database) as ward,
    ):
        await _well(run, ward, stack)
        tombs = await ward.tombstones()
        async with counting(ward) as counts:
            since, begun = now(), time.monotonic()
            ill = await _fallen_ill(run, ward, stack)
            telling = asyncio.create_task(_tell_on(ward), name="telling")
            try:
                await _say_to_the_ill(run, ward, ill)
                killed_at = await _killed_while_ringing(run, ward)
                await _given_up(run, ward, ill, begun)
            finally:
                telling.cancel()
                await asyncio.wait({telling})
            try:
                await run.until(lambda: not ward.unrung(), within_s=RING_WITHIN_S, told="what was said last rings")
            finally:
                run.note("not rung", await ward.why() or "nothing")
            await _people_are_told(run, ward, watch)
            await run.until(ward.nothing_overdue, within_s=RING_WITHIN_S, told="nothing that is due is left")
            run.note("jobs in the end", await ward.pending())
        _rung_once(run, ward, killed_at)
        _kept_to_what_they_said(run, ill)
        gone = await ward.tombstones() - tombs
        run.require(
            "whoever is gone is a tombstone, and nobody else",
            gone == {ill.devices[what] for what in GONE},
            f"{sorted(what for what, device in ill.devices.items() if device in gone)} of {len(gone)}",
        )
        acks_go_on(run, watch, since, "among poison")
        grown = counts.resident - ward.resident
        run.note("jobs that were overdue, at most", counts.overdue)
        run.note("memory of the worker before, at most", f"{ward.resident >> 20} MiB, {counts.resident >> 20} MiB")
        run.require("the worker's memory does not grow", grown <= GROWTH_BYTES, f"by {grown / 2**20:.1f} MiB")
        yield


async def _well(run: Run, ward: Ward, stack: AsyncExitStack) -> None:
    """Everybody who is well has a phone, and it rings; what is read disappears from it."""
    conversation, users = next(iter(run.people().items()))
    for user, platform in zip(users[1:4], PLATFORMS, strict=True):
        phone = ward.pocket.phone(platform)
        await ward.carry(user, phone, stack)
        ward.people[user] = [phone.screen] if phone.screen is not None else []
    run.note("people of the run with phones", f"3, in {conversation} and others")
    for _ in range(4):
        await ward.tell()
    await run.until(lambda: not ward.unrung(), within_s=RING_WITHIN_S * 2, told="phones ring")
    first = ward.said[0]
    await ward.read(first)

    def taken_away() -> bool:
        screens = [phone.screen for phone in ward.phones if phone.registration["provider"] != "webpush"]
        return not any(banner.conversation == first.conversation for one in screens if one for banner in one.tray)

    await run.until(taken_away, within_s=RING_WITHIN_S * 2, told="what is read disappears")
    ward.resident = ward.worker.resident_bytes()


async def _fallen_ill(run: Run, ward: Ward, stack: AsyncExitStack) -> Ill:
    """A device of each kind, each of somebody of their own; two more of people of the run."""
    pocket, strange = ward.pocket, iter(ward.pocket.hostile)
    carried: dict[str, Carried] = {}
    services: dict[str, Hostile] = {}
    for what, behaviour in BEHAVIOURS.items():
        services[what] = next(strange).behave(behaviour)
        carried[what] = pocket.at(services[what])
    beside = carried["hangs where others are well"] = pocket.phone("web")
    pocket.lab.webpush.fail(*[HANG] * 100, subscription=beside.subscription)
    carried[GONE[2]], carried[GONE[3]] = pocket.phone("ios"), pocket.phone("android")
    names = {what: f"{ward.teller.name}-ill{number}" for number, what in enumerate(carried)}
    devices = {what: await ward.carry(names[what], carried[what], stack) for what in carried}
    for what in GONE[2:]:
        pocket.remove_app(carried[what])
    users = next(iter(run.people().values()))
    for user, behaviour in zip(users[4:6], (hostile.hangs, hostile.floods(REPLY_BYTES)), strict=False):
        await ward.carry(user, pocket.at(next(strange).behave(behaviour)), stack)
    conversation = await ward.group(ward.well.name, *names.values())
    return Ill(conversation, devices, services)


async def _tell_on(ward: Ward) -> None:
    """Each in a conversation of its own: each has to ring, and once. Some are read at once."""
    for number in range(10_000):
        said = await ward.tell()
        if number % 5 == 4:
            await ward.read(said)
        await asyncio.sleep(2.0)


async def _say_to_the_ill(run: Run, ward: Ward, ill: Ill) -> None:
    """A conversation goes on among people half of whom cannot be reached."""
    for number in range(ILL_SAYS):
        await ward.say(ill.conversation, f"to the ill {number}")
        await asyncio.sleep(0.5)
    busy = ill.strange["busy"]

    async def heard() -> bool:
        return len(busy.answered) > REFUSALS and not await ward.is_pending(ill.devices["busy"])

    within_s = RETRY_AFTER_S * (REFUSALS + 1) + RING_WITHIN_S
    await run.until(heard, within_s=within_s, told="who asked for time is told when it is over")


async def _killed_while_ringing(run: Run, ward: Ward) -> float:
    """The worst moment: one push has been accepted and is not answered, others are under way, due, or not yet planned.

    When that was (`time.monotonic`).
    """
    conversations = [await ward.group(ward.well.name) for _ in range(BURST)]
    struck: list[float] = []

    def strike(came: Came) -> None:
        if came.rang and came.conversation in conversations and not struck:
            struck.append(time.monotonic())
            # At once: the answer never arrives.
            ward.worker.freeze()

    for screen in ward.screens:
        screen.on_came = strike
    burst = await asyncio.gather(*(ward.tell(one) for one in conversations))
    await run.until(lambda: struck, within_s=RING_WITHIN_S * 2, told="phones ring for a burst")
    await ward.worker.kill()
    rung = BURST * len(ward.phones) - len(ward.unrung(burst))
    run.note("rung of a burst when the worker was killed", f"{rung} of {BURST * len(ward.phones)}")
    meanwhile = [await ward.tell() for _ in range(3)]
    started = time.monotonic()
    await ward.worker.start()
    run.note("the worker is back after", f"{time.monotonic() - started:.1f} s")
    took_s = await run.until(
        lambda: not ward.unrung([*burst, *meanwhile]),
        within_s=KILLED_WITHIN_S,
        told="no notification is lost with the worker",
    )
    run.note("everything of it is told after", f"{took_s:.1f} s")
    return struck[0]


async def _given_up(run: Run, ward: Ward, ill: Ill, begun: float) -> None:
    """Whoever cannot be reached is given up in the end, and kept to be looked at."""

    async def all_given_up() -> bool:
        letters = await ward.letters()
        return all(letters.get(ill.devices[what]) for what in GIVEN_UP)

    await run.until(all_given_up, within_s=GIVEN_UP_WITHIN_S, told="who cannot be reached is a dead letter in the end")
    run.note("given up after", f"{time.monotonic() - begun:.0f} s")
    letters = await ward.letters()
    for what in GIVEN_UP:
        found = letters[ill.devices[what]]
        counted = Counter(f"{one.reason} ({one.attempts} attempts)" for one in found)
        run.note(f"dead letters: {what}", ", ".join(f"{times} times {said}" for said, times in counted.items()))
        most = max(one.attempts for one in found)
        run.require(f"attempts have an end: {what}", most <= ATTEMPTS, f"{most} of {ATTEMPTS}")
        if (service := ill.strange.get(what)) is not None:
            # The one that was under way when the worker was killed is not counted.
            bound = sum(one.attempts for one in found) + 1
            run.require(
                f"and no more requests than attempts: {what}", len(service.asked) <= bound, f"{len(service.asked)}"
            )
    others = {device for what, device in ill.devices.items() if what not in GIVEN_UP}
    wrong = [one for device in (*others, *ward.devices_of_the_well) for one in letters.get(device, ())]
    run.require("nobody else is given up", not wrong, f"{wrong[:3]}")


async def _people_are_told(run: Run, ward: Ward, watch: Watch) -> None:
    """People of the run with phones, of everything that was said so far in all their conversations."""
    heads: Counter[tuple[str, str]] = Counter()
    for event in watch.sends("ok"):
        for user in ward.people:
            if event["user"] != user:
                heads[user, event["conv"]] = max(heads[user, event["conv"]], event["offset"])
    mine = [(user, conv) for user in ward.people for conv, users in run.people().items() if user in users]

    def behind() -> list[str]:
        return [
            f"{user} at {ward.told(user, conv)} of {heads[user, conv]} in {conv}"
            for user, conv in mine
            if ward.told(user, conv) < heads[user, conv]
        ]

    await run.until(lambda: not behind(), within_s=RING_WITHIN_S * 2, told="people of the run are told of everything")
    pushes = sum(len(screen.came) for screens in ward.people.values() for screen in screens)
    run.note("pushes to phones of people of the run", f"{pushes}, for {len(mine)} conversations")


def _rung_once(run: Run, ward: Ward, killed_at: float) -> None:
    """I9: what is unread rings, once, in time; what is read does not."""
    in_time: list[float] = []
    later: list[float] = []
    wrong: list[str] = []
    read_s = READ_WITHIN_S * run.patience()
    for said in ward.said:
        for screen in ward.screens:
            rings = [came.at for came in screen.came if came.rang and came.conversation == said.conversation]
            if said.reading:
                if said.read_at is None:
                    continue
                wrong += [f"{at - said.read_at:.1f} s after it was read" for at in rings if at > said.read_at + read_s]
            elif len(rings) != 1:
                wrong.append(f"{len(rings)} times on {screen.platform}")
            elif killed_at - RING_WITHIN_S < said.at < killed_at + KILLED_WITHIN_S:
                later += [rings[0] - said.at]
            else:
                in_time += [rings[0] - said.at]
    run.require("phones ring for what is unread, once", not wrong, f"{len(in_time + later)} rings; {wrong[:5]}")
    soon_s, within_s = percentile(in_time, 0.95), RING_WITHIN_S * run.patience()
    run.note("acknowledged to rung", f"p50 {percentile(in_time, 0.5):.1f} s, of {len(in_time)}")
    run.require("and soon, whoever else is ill", soon_s <= within_s, f"p95 {soon_s:.1f} s, at most {within_s:.0f} s")
    # Also where the worker could not reach the database for a moment: then a lease ends as if it had been killed.
    most_s, within_s = max([*in_time, *later], default=0.0), KILLED_WITHIN_S * run.patience()
    run.require("and each within a lease", most_s <= within_s, f"{most_s:.1f} s, at most {within_s:.0f} s")
    jobs: dict[str, list[Came]] = {}
    for screen in (*ward.screens, *(one for some in ward.people.values() for one in some)):
        for came in screen.came:
            if came.sound:
                jobs.setdefault(came.job, []).append(came)
    twice = [job for job, some in jobs.items() if sum(one.rang for one in some) > 1]
    run.require("no job rings twice", not twice, f"{len(twice)} of {len(jobs)}")
    again = [some for some in jobs.values() if len(some) > 1]
    unasked = [
        after.at - before.at
        for some in again
        for before, after in pairwise(some)
        if not before.at <= killed_at < after.at and after.at - before.at < ANSWER_S
    ]
    run.note("sent again under the same id", len(again))
    run.require("sent again is what the killed worker had not written down, alone", not unasked, f"{len(unasked)}")
    run.require("and that is sent again", len(again) > 0, f"{len(again)}")


def _kept_to_what_they_said(run: Run, ill: Ill) -> None:
    """What the push services of strangers saw."""
    for what in GONE[:2]:
        asked = len(ill.strange[what].asked)
        run.require(f"who answered {what} is asked once", asked == 1, f"{asked} times")
    busy = ill.strange["busy"]
    pauses = [then - before for before, then in zip(busy.answered, busy.asked[1:], strict=False)]
    run.require(
        "nobody is asked again before Retry-After",
        len(pauses) >= REFUSALS and all(pause >= RETRY_AFTER_S - 0.05 for pause in pauses[:REFUSALS]),
        f"after {', '.join(f'{pause:.1f}' for pause in pauses)} s, {RETRY_AFTER_S} s were asked for",
    )
    taken = ill.strange["floods"].most_taken
    run.require("an answer of 30 MB is not taken", taken < REPLY_BYTES // 2, f"{taken / 2**20:.1f} MiB of it left")


FAULTS: Final = (
    Fault(
        "29",
        "push services that are poison, the worker killed",
        poisonous,
        lasts_s=1.0,
        topology=Topology(phones=True, settings={"push.loud_per_minute": 1000}),
    ),
)
