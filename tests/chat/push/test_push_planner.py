"""From the log to jobs: for whom there is one, for whom there is none and why; reading it again makes no second one."""

from dataclasses import replace

from chat.push.planner import PlannerSettings
from chat.push.policy import PolicySettings
from storage.model import EntryKind
from storage.model.notifying import Notify, PushPreferences
from storage.model.push import Job
from storage.mongo.client import Database
from storage.mongo.mentions import everyone
from storage.store import Store
from support.conversing import a_group, say
from support.entries import message
from support.pushing import START, Pushing


async def job_of(push: Pushing, device: str, conversation: str) -> Job | None:
    return await push.jobs.get(device, conversation)


async def test_every_device_of_every_other_member_gets_a_job(push: Pushing, store: Store) -> None:
    group = await a_group(store, ("ada", "bob", "eve"))
    devices = [await push.device("ada"), await push.device("ada", "tablet"), await push.device("bob")]
    (sent,) = await say(store, group.id, "bob", ["hello"], at=START)
    await push.plan(group.id)
    jobs = [await job_of(push, device.id, group.id) for device in devices]
    assert [None if job is None else (job.upto, job.due_at, job.lane) for job in jobs] == [
        (sent.entry.offset, START + 1_500, "apns|production|app"),
        (sent.entry.offset, START + 1_500, "apns|production|app"),
        None,
    ]
    assert push.hints == 1
    assert await push.why(group.id, sent.entry.offset, devices[0]) == ["planned:job"]


async def test_several_messages_are_one_job_and_reading_the_log_again_changes_nothing(
    push: Pushing, store: Store
) -> None:
    group, phone = await a_group(store), await push.device()
    first, _, last = await say(store, group.id, "bob", ["one", "two", "three"], at=START)
    await push.plan(group.id)
    job = await job_of(push, phone.id, group.id)
    assert job is not None
    assert (job.since, job.upto) == (first.entry.offset, last.entry.offset)
    await push.pass_(1_500)
    assert push.provider.screen(phone.id).rings == 1
    await push.plan(group.id)
    assert await job_of(push, phone.id, group.id) is None
    assert len(await push.why(group.id, last.entry.offset, phone)) == 3


async def test_who_does_not_want_to_know_gets_no_job_and_a_reason(push: Pushing, store: Store) -> None:
    group, phone = await a_group(store), await push.device()
    await store.preferring.change(group.id, "ada", lambda known: replace(known, muted_until=START + 1), at=START)
    (muted,) = await say(store, group.id, "bob", ["psst"], at=START)
    (later,) = await say(store, group.id, "bob", ["hello"], at=START + 1)
    await push.plan(group.id)
    job = await job_of(push, phone.id, group.id)
    assert job is not None
    assert job.since == later.entry.offset
    traces = await push.traces.of_message(group.id, muted.entry.offset, user="ada")
    assert [(one.outcome, one.reason) for one in traces] == [("suppress", "muted")]


async def test_only_who_is_mentioned_is_told_in_a_large_group(db: Database, store: Store) -> None:
    push = Pushing(db, store, policy=PolicySettings(large_group=2), planner=PlannerSettings(page=1))
    group = await a_group(store, ("ada", "bob", "eve", "zoe"))
    devices = {user: await push.device(user) for user in ("ada", "eve", "zoe")}
    await store.notifying.change("zoe", lambda known: PushPreferences(notify=Notify.ALL))
    await store.appender.append(message(group.id, by="bob", body={"text": "hey", "meant": ["ada"]}, at=START))
    await push.plan(group.id)
    assert {user for user, one in devices.items() if await job_of(push, one.id, group.id)} == {"ada", "zoe"}
    entry = await store.appender.append(
        message(group.id, by="bob", body={"text": "all", "meant": [everyone(group.id)]}, at=START)
    )
    await push.plan(group.id, entry.entry.offset - 1)
    assert all([await job_of(push, one.id, group.id) for one in devices.values()])


async def test_in_a_huge_group_nobody_else_is_looked_at(db: Database, store: Store) -> None:
    push = Pushing(db, store, policy=PolicySettings(large_group=2), planner=PlannerSettings(searched_members=3))
    group = await a_group(store, ("ada", "bob", "eve", "zoe"))
    devices = {user: await push.device(user) for user in ("ada", "eve")}
    await store.notifying.change("eve", lambda known: PushPreferences(notify=Notify.ALL))
    sent = await store.appender.append(message(group.id, by="bob", body={"text": "hey", "meant": ["ada"]}, at=START))
    await push.plan(group.id)
    assert await job_of(push, devices["ada"].id, group.id) is not None
    assert await job_of(push, devices["eve"].id, group.id) is None
    assert await push.why(group.id, sent.entry.offset, devices["eve"]) == ["planned:suppress:large_group"]


async def test_nobody_is_told_of_what_is_long_past_or_no_message(push: Pushing, store: Store) -> None:
    group, phone = await a_group(store), await push.device()
    await say(store, group.id, "bob", ["old"], at=START - 5 * 3_600_000)
    await store.appender.append(message(group.id, by="bob", kind=EntryKind.CONVERSATION_UPDATED, at=START))
    await push.plan(group.id)
    assert await job_of(push, phone.id, group.id) is None
    assert push.hints == 0
