"""Devices that were taken for gone, and are brought back, are told what they missed: what is still unread, and once."""

from chat.push.reviving import Reviving
from chat.push.sending import AddressGone, Lane, Provider
from storage.model.device import Device
from storage.store import Store
from support.conversing import a_group, say
from support.pushing import START, Pushing
from support.waiting import eventually

HOUR_MS = 3_600_000
LANE = Lane(Provider.APNS, "app")


async def is_summed_up(push: Pushing, conversation: str, n: int) -> None:
    """The conversation's row knows of so many messages, as it does a second after the last."""

    async def knows() -> bool:
        found = await push.store.conversations.get(conversation)
        return found is not None and found.head.n == n

    await eventually(knows)


async def hello(push: Pushing, conversation: str, text: str) -> int:
    (sent,) = await say(push.store, conversation, "bob", [text], at=push.now.ms)
    await push.plan(conversation, sent.entry.offset - 1)
    await push.pass_(3_000)
    push.now.ms += 60_000
    return sent.entry.offset


def seen(push: Pushing, device: Device) -> tuple[list[str], int]:
    screen = push.provider.screen(device.id)
    return screen.bodies, screen.rings


def gone(push: Pushing, *devices: Device) -> None:
    """The provider says so of these."""
    ids = {one.id for one in devices}
    push.provider.answering = lambda one: AddressGone("Unregistered") if one.address.device in ids else None


async def test_who_was_taken_for_gone_is_told_what_is_unread_once_they_are_back(push: Pushing, store: Store) -> None:
    names = ("ada", "eve", "fay")
    ada, eve, fay = devices = [await push.device(name) for name in names]
    group = await a_group(store, ("bob", *names))
    reviving = Reviving(store, push.planner, life_ms=4 * HOUR_MS, clock_ms=push.now)
    await hello(push, group.id, "told")
    gone(push, ada, eve)
    await hello(push, group.id, "said to be gone")
    last = await hello(push, group.id, "while they were gone")
    assert [(await store.devices.get(one.id)).active for one in devices] == [False, False, True]  # type: ignore[union-attr]
    # One of them has a screen elsewhere.
    await push.read(group.id, last, user="eve")
    gone(push)
    await is_summed_up(push, group.id, 3)
    assert await reviving.bring_back(LANE, since=START) == 2
    assert await reviving.bring_back(LANE, since=START) == 0
    await push.pass_(5_000)
    assert seen(push, ada) == (["3 new messages\nSomebody: while they were gone"], 2)
    assert seen(push, eve) == (["Somebody: told"], 1)
    assert seen(push, fay) == (["3 new messages\nSomebody: while they were gone"], 3)


async def test_what_waited_for_a_device_that_was_gone_by_then_is_told_when_it_is_back(
    push: Pushing, store: Store
) -> None:
    ada = await push.device()
    groups = [await a_group(store) for _ in range(2)]
    for group in groups:
        (sent,) = await say(store, group.id, "bob", ["hello"], at=push.now.ms)
        await push.plan(group.id, sent.entry.offset - 1)
    gone(push, ada)
    await push.pass_(60_000)
    assert len(push.provider.pushes) == 1
    gone(push)
    reviving = Reviving(store, push.planner, life_ms=4 * HOUR_MS, clock_ms=push.now)
    for group in groups:
        await is_summed_up(push, group.id, 1)
    assert await reviving.bring_back(LANE, since=START) == 1
    await push.pass_(5_000)
    assert seen(push, ada) == (["Somebody: hello"] * 2, 2)


async def test_what_is_too_old_is_not_told_to_who_is_back(push: Pushing, store: Store) -> None:
    ada = await push.device()
    group = await a_group(store)
    gone(push, ada)
    await hello(push, group.id, "hello")
    gone(push)
    push.now.ms += 5 * HOUR_MS
    reviving = Reviving(store, push.planner, life_ms=4 * HOUR_MS, clock_ms=push.now)
    assert await reviving.bring_back(LANE, since=START) == 1
    await push.pass_(5_000)
    assert seen(push, ada) == ([], 0)
