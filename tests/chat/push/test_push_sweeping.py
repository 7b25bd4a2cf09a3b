"""What the follower has missed is planned by looking through what changed; what it has not missed stays as it is."""

import time

from chat.push.sweeping import plan_since
from storage.store import Store
from support.conversing import a_group, say
from support.pushing import Pushing


async def test_missed_messages_are_planned_and_others_are_not_told_twice(push: Pushing, store: Store) -> None:
    push.now.ms = time.time_ns() // 1_000_000
    began = push.now.ms - 1_000
    phone = await push.device()
    known, missed = await a_group(store), await a_group(store)
    await say(store, known.id, "bob", ["known"], at=push.now.ms)
    await push.plan(known.id)
    await push.pass_(2_000)
    (last,) = await say(store, missed.id, "bob", ["missed"], at=push.now.ms)
    await store.summaries.flush()
    assert await plan_since(store, push.planner, began) == 2
    assert await push.jobs.get(phone.id, known.id) is None
    job = await push.jobs.get(phone.id, missed.id)
    assert job is not None
    assert job.upto == last.entry.offset
    assert await plan_since(store, push.planner, push.now.ms + 60_000) == 0
    await push.pass_(5_000)
    assert push.provider.screen(phone.id).rings == 2
