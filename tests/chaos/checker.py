"""Decides from a history whether the promises held. Pure: events in, a verdict out, in one pass and a few more.

The log as it is in the end is the truth; everything else is held against it. What cannot be known is not guessed: a
send without a definite answer may be in the log, at most once.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.facts import Attempts, Facts, Key, gather
from chaos.history import MESSAGE, Event, Fault, Item, Member, Page, Received, Send
from chaos.resources import check_resources
from chaos.verdict import Verdict
from chaos.views import check_view, same

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """`answer_s`: in which a send is answered. `removal_s`: after which nobody who was removed is told anything more;
    while a fault lasts, and as long after it, `removal_away_s`.
    """

    answer_s: float = 5.0
    removal_s: float = 2.0
    removal_away_s: float = 12.0


def check(events: Iterable[Event], bounds: Bounds | None = None) -> Verdict:
    """The verdict on a history whose events are in order of time."""
    bounds = bounds or Bounds()
    facts, verdict = gather(events), Verdict()
    _check_log(facts, verdict)
    _check_sends(facts, verdict)
    _check_sessions(facts, verdict)
    for view in facts.views.values():
        device = facts.devices.get(view.device)
        check_view(view, facts.truth.get(view.conv, {}), verdict, roams=device is not None and device.roams)
    _check_told(facts, verdict)
    _check_isolation(facts, verdict, bounds)
    _check_answers(facts, verdict, bounds)
    _check_healing(facts, verdict)
    check_resources(facts.samples, verdict)
    verdict.counts.reconnects = facts.reconnects
    return verdict


def _check_log(facts: Facts, verdict: Verdict) -> None:
    """The log by itself: no hole, no key twice, nothing that was not sent."""
    for conv, log in facts.truth.items():
        offsets = sorted(log)
        for before, after in pairwise([0, *offsets]):
            if after != before + 1:
                verdict.broke("I3", "hole", f"{conv}: nothing between {before} and {after}")
                verdict.counts.out_of_order += 1
        places: dict[tuple[str, str], int] = {}
        for offset in offsets:
            item = log[offset]
            if item.kind != MESSAGE or not item.key:
                continue
            first = places.setdefault((item.sender, item.key), offset)
            if first != offset:
                verdict.broke("I2", "stored twice", f"{conv}: {item.key} of {item.sender} at {first} and {offset}")
                verdict.counts.duplicated += 1
            attempts = facts.sends.get((conv, item.sender, item.key))
            if attempts is None or not attempts.invokes:
                verdict.broke("I4", "never sent", f"{conv}.{offset}: {item.key} of {item.sender}")
                verdict.counts.ghosts += 1
            elif attempts.refused:
                verdict.broke("I4", "refused and there", f"{conv}.{offset}: {item.key} of {item.sender}")
                verdict.counts.ghosts += 1
    for conv in {key[0] for key in facts.sends} - facts.truth.keys():
        verdict.broke("I8", "log not read", f"{conv}: without it nothing is proven")


def _check_sends(facts: Facts, verdict: Verdict) -> None:
    """Each send against the log."""
    counts = verdict.counts
    places: dict[Key, int] = {}
    for conv, log in facts.truth.items():
        for offset, item in sorted(log.items()):
            if item.kind == MESSAGE:
                places.setdefault((conv, item.sender, item.key), offset)
    waits_ms: list[float] = []
    for key, attempts in facts.sends.items():
        counts.attempted += 1
        counts.attempts += len(attempts.invokes)
        oks = attempts.oks
        for ok in oks:
            _check_ok(facts, ok, attempts, places, verdict)
            if (invoke := attempts.invokes.get((ok.device, ok.attempt))) is not None:
                waits_ms.append((ok.t - invoke.t) / 1e6)
        if oks:
            counts.acked += 1
        elif attempts.refused:
            counts.refused += 1
        else:
            counts.unknown += 1
            counts.recovered += key in places
        at = places.get(key)
        if at is not None and at <= attempts.floor:
            detail = f"{key[0]}.{at} was first asked for when {attempts.floor} had been acknowledged"
            verdict.broke("I3", "overtook", detail)
            counts.out_of_order += 1
    waits_ms.sort()
    if waits_ms:
        counts.ack_p50_ms = waits_ms[len(waits_ms) // 2]
        counts.ack_p99_ms = waits_ms[min(len(waits_ms) - 1, len(waits_ms) * 99 // 100)]


def _check_ok(facts: Facts, ok: Send, attempts: Attempts, places: dict[Key, int], verdict: Verdict) -> None:
    what = f"{ok.key} of {ok.user} in {ok.conv}"
    if ok.sender and ok.sender != ok.user:
        verdict.broke("I2", "somebody else's message", f"{what}: answered with one of {ok.sender}")
        verdict.counts.duplicated += 1
        return
    first = next(one for one in attempts.outcomes if one.type == "ok")
    if (first.id, first.offset) != (ok.id, ok.offset):
        detail = f"{what}: acknowledged as {first.id} at {first.offset} and {ok.id} at {ok.offset}"
        verdict.broke("I2", "two answers", detail)
        verdict.counts.duplicated += 1
        return
    log = facts.truth.get(ok.conv)
    if log is None:
        return
    at = places.get(attempts.key)
    there = log.get(ok.offset)
    if at is None and there is not None and there.kind == MESSAGE and not there.key and there.sender == ok.user:
        return  # deleted since: its key is told no more
    if at is None:
        if ok is first:
            verdict.broke("I1", "lost", f"{what}: acknowledged at {ok.offset}")
            verdict.counts.lost += 1
    elif at != ok.offset:
        verdict.broke("I5", "acknowledged elsewhere", f"{what}: at {ok.offset}, stored at {at}")
        verdict.counts.disagreements += 1


def _check_sessions(facts: Facts, verdict: Verdict) -> None:
    """What one socket sent without waiting keeps its order, where each was answered at once."""
    firsts: dict[tuple[str, str], list[tuple[int, Send]]] = defaultdict(list)
    for attempts in facts.sends.values():
        for ok in attempts.oks:
            if ok.attempt == 1 and not ok.duplicate and ok.connection and len(attempts.invokes) == 1:
                firsts[ok.connection, ok.conv].append((ok.order, ok))
    for sent in firsts.values():
        sent.sort(key=lambda one: one[0])
        for (_, before), (_, after) in pairwise(sent):
            if after.offset <= before.offset:
                detail = f"{after.conv}: {before.key} then {after.key}, at {before.offset} and {after.offset}"
                verdict.broke("I3", "changed places", detail)
                verdict.counts.out_of_order += 1


def _check_told(facts: Facts, verdict: Verdict) -> None:
    """Pages, and what a fresh client reads in the end, against the log."""
    for page in facts.pages:
        if (log := facts.truth.get(page.conv)) is not None:
            _check_items(page.conv, f"a page for {page.device} by {page.hub}", page.items, log, verdict)
    for told in facts.told:
        log = facts.truth.get(told.conv)
        if log is None:
            continue
        _check_items(told.conv, told.source, told.items, log, verdict)
        first = min((item.offset for item in told.items), default=0)
        last = max(told.acked, *(item.offset for item in told.items)) if told.items else told.acked
        have = {item.offset for item in told.items}
        messages_only = told.source.startswith("rest")
        for offset, item in log.items():
            wanted = first <= offset <= last and (item.kind == MESSAGE or not messages_only)
            if wanted and offset not in have:
                verdict.broke("I1", "not readable", f"{told.conv}.{offset} is not in {told.source}")
                verdict.counts.lost += 1


def _check_items(conv: str, told_by: str, items: Sequence[Item], log: dict[int, Item], verdict: Verdict) -> None:
    messages_only = all(item.kind == MESSAGE for item in items)
    for before, after in pairwise(items):
        if after.offset <= before.offset:
            verdict.broke("I3", "page not ascending", f"{conv}: {before.offset}, {after.offset} in {told_by}")
            verdict.counts.out_of_order += 1
            continue
        for offset in range(before.offset + 1, after.offset):
            if offset in log and (log[offset].kind == MESSAGE or not messages_only):
                verdict.broke("I3", "skipped", f"{conv}.{offset} is not in {told_by}")
                verdict.counts.out_of_order += 1
    for item in items:
        agree(conv, told_by, item, log, verdict)


def agree(conv: str, told_by: str, item: Item, log: dict[int, Item], verdict: Verdict) -> None:
    """Whether what was told to be at an offset is what the log has there. The key of a deleted message is not told."""
    true = log.get(item.offset)
    if true is None:
        verdict.broke("I4", "not in the log", f"{conv}.{item.offset} ({item.kind} of {item.sender}) told by {told_by}")
        verdict.counts.ghosts += 1
    elif not same(item, true):
        detail = f"{conv}.{item.offset} is {_brief(true)}, {told_by} told {_brief(item)}"
        verdict.broke("I5", "disagree", detail)
        verdict.counts.disagreements += 1


def _brief(item: Item) -> str:
    return f"{item.kind} {item.key} of {item.sender}"


@dataclass(slots=True)
class _Stay:
    """Somebody was in a conversation by these offsets, both told to them."""

    came: int
    left: int | None = None


def stays(log: dict[int, Item]) -> dict[str, list[_Stay]]:
    """Who was in a conversation when, by the log itself."""
    found: dict[str, list[_Stay]] = defaultdict(list)
    for offset in sorted(log):
        item = log[offset]
        for user in item.users:
            if item.kind == "member.joined" and (not found[user] or found[user][-1].left is not None):
                found[user].append(_Stay(offset))
            elif item.kind == "member.left" and found[user]:
                found[user][-1].left = offset
    return found


def _check_isolation(facts: Facts, verdict: Verdict, bounds: Bounds) -> None:
    away = list(_windows(facts))

    def grace_ns(at: int) -> float:
        return _NS * (bounds.removal_away_s if any(a <= at <= b for a, b in away) else bounds.removal_s)

    of_conv = {conv: stays(log) for conv, log in facts.truth.items()}
    for view in facts.views.values():
        for event in view.events:
            if not isinstance(event, Received) or event.conv not in of_conv:
                continue
            mine = of_conv[event.conv].get(event.user, [])
            if any(one.came <= event.offset and (one.left is None or event.offset <= one.left) for one in mine):
                continue
            removed = _removed(facts.members.get((event.conv, event.user), ()), event.t)
            if mine and event.via == "live" and removed is not None and event.t - removed <= grace_ns(event.t):
                verdict.counts.late_removals += 1
                continue
            verdict.broke("I6", "leak", f"{event.conv}.{event.offset} to {event.device}, who was not in it then")
            verdict.counts.leaks += 1
    for page in facts.pages:
        if page.items and page.conv in of_conv and _out(facts, page, of_conv[page.conv]):
            removed = _removed(facts.members.get((page.conv, page.user), ()), page.asked)
            if removed is not None and page.asked - removed <= grace_ns(page.asked):
                # The hub that was asked is told by a notice, as it is for what is live.
                verdict.counts.late_removals += 1
                continue
            verdict.broke("I6", "page leaked", f"{page.conv} to {page.device}, who was not in it")
            verdict.counts.leaks += 1


def _windows(facts: Facts) -> Iterator[tuple[int, int]]:
    """When notices may be late: while a fault lasts, and until all was as before."""
    begun: int | None = None
    for fault in facts.faults:
        if fault.type == "begin":
            begun = fault.t if begun is None else begun
        elif fault.type in ("healed", "unhealed") and begun is not None:
            yield begun, fault.t
            begun = None
    if begun is not None:
        yield begun, 1 << 62


def _removed(members: Sequence[Member], at: int) -> int | None:
    """When the last removal before this moment was done or, where that is not known, asked for."""
    return max((one.t for one in members if not one.came and one.t <= at), default=None)


def _out(facts: Facts, page: Page, stayed: dict[str, list[_Stay]]) -> bool:
    """Whether the reader of a page was surely not a member all the time that it took."""
    device = facts.devices.get(page.device)
    if device is not None and device.stranger:
        return True
    if page.user not in stayed:
        return not facts.members.get((page.conv, page.user))
    changes = facts.members.get((page.conv, page.user), ())
    before = [one for one in changes if one.t <= page.asked]
    if any(page.asked < one.t <= page.t for one in changes) or not before:
        return False
    return before[-1].type == "ok" and not before[-1].came


def _check_answers(facts: Facts, verdict: Verdict, bounds: Bounds) -> None:
    """Every attempt has an outcome, in time; but nobody is answered by a hub that cannot speak."""
    mute, overtaking = _mute(facts), _Overtaking(facts)
    for attempts in facts.sends.values():
        ended = {(one.device, one.attempt): one for one in attempts.outcomes}
        for place, invoke in attempts.invokes.items():
            outcome = ended.get(place)
            if outcome is not None and outcome.why == "disconnected":
                continue  # the client knows at once, and repeats
            late_by = invoke.t + int(bounds.answer_s * _NS)
            if outcome is not None and outcome.why != "timeout" and outcome.t <= late_by:
                continue
            until = outcome.t if outcome is not None else late_by
            if any(begin <= until and end >= invoke.t for begin, end in mute.get(invoke.hub, ())):
                continue
            lag_s = facts.starving.between(invoke.t, until, invoke.hub)
            lag_s += sum(one.lag_s for one in facts.stalls if invoke.t <= one.t <= until + _NS)
            starved = outcome is not None and outcome.t <= late_by + int(lag_s * _NS)
            unanswered = outcome is None or outcome.why == "timeout"
            if starved and not (unanswered and overtaking.overtook(invoke, until)):
                continue
            took = "never" if outcome is None else f"{outcome.type} after {(outcome.t - invoke.t) / _NS:.1f} s"
            verdict.broke("I7", "stuck", f"{invoke.key} of {invoke.user} by {invoke.hub}: {took} {invoke.why}".strip())
            verdict.counts.stuck += 1


OVERTAKEN: Final = 10
"""A send without any answer, which so many later ones of its conversation and hub left behind, does not wait for a
processor.
"""


class _Overtaking:
    """When sends were asked for and acknowledged, by hub and conversation."""

    def __init__(self, facts: Facts) -> None:
        self._acked: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for attempts in facts.sends.values():
            for ok in attempts.oks:
                if (invoke := attempts.invokes.get((ok.device, ok.attempt))) is not None:
                    self._acked[ok.hub, ok.conv].append((invoke.t, ok.t))
        for times in self._acked.values():
            times.sort()

    def overtook(self, invoke: Send, until: int) -> bool:
        """Whether later ones were acknowledged a second and more before this one was, or was given up."""
        times = self._acked.get((invoke.hub, invoke.conv), [])
        ahead = 0
        for asked, acked in times[bisect_right(times, (invoke.t, until)) :]:
            ahead += acked < until - _NS
            if ahead >= OVERTAKEN or asked > until:
                break
        return ahead >= OVERTAKEN


_MUTE: Final = ("frozen", "killed", "told to end", "unreachable", "died")
_SPEAKS: Final = ("thawed", "ready", "reachable")
_SETTLE_NS: Final = _NS // 2


def _mute(facts: Facts) -> dict[str, list[tuple[int, int]]]:
    """When each hub could not speak to clients, and a moment after."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    since: dict[str, int] = {}
    for one in facts.happened:
        if one.what.startswith(_MUTE):
            since.setdefault(one.name, one.t)
        elif one.what in _SPEAKS and one.name in since:
            found[one.name].append((since.pop(one.name), one.t + _SETTLE_NS))
    for name, begun in since.items():
        found[name].append((begun, 1 << 62))
    return found


def _check_healing(facts: Facts, verdict: Verdict) -> None:
    ended: dict[str, Fault] = {}
    worst: float | None = None
    for fault in facts.faults:
        if fault.type == "end":
            ended[fault.name] = fault
        elif fault.type == "healed" and fault.name in ended:
            end = ended.pop(fault.name)
            took_s = (fault.t - end.t) / _NS
            worst = max(worst or 0.0, took_s)
            lag_s = facts.starving.between(end.t, fault.t)
            lag_s += sum(one.lag_s for one in facts.stalls if end.t <= one.t <= fault.t)
            if end.within_s and took_s > end.within_s + lag_s:
                verdict.broke("I8", "healed late", f"{fault.name}: after {took_s:.1f} s")
        elif fault.type == "unhealed":
            ended.pop(fault.name, None)
            verdict.broke("I8", "not healed", f"{fault.name}: {fault.why}")
    for name in ended:
        verdict.broke("I8", "not healed", f"{name}: nobody looked")
    verdict.counts.heal_s = worst
