"""Jobs of push: one row however many messages, claimed by one worker at a time, done only for what was covered."""

import asyncio
from dataclasses import replace

import pytest

from storage.model.push import Doubt, Job
from storage.mongo.client import Database
from storage.mongo.push_jobs import PushJobs
from storage.mongo.schema import PUSH_DEAD, PUSH_JOBS

LANE = "apns|production|app"
C = "c" * 26
LEASE_MS = 60_000
DOUBT = Doubt("phone", "ada", C, LANE, since=5, upto=5, due_at=1_000, ends_at=100_000)


@pytest.fixture
async def jobs(db: Database) -> PushJobs:
    # The times here are small numbers: without this the server would now and then remove what is so long past.
    for name in (PUSH_JOBS, PUSH_DEAD):
        await db[name].drop_index("forget_at")
    return PushJobs(db)


async def put(jobs: PushJobs, *, now: int = 0, due_at: int = 1_000, since: int = 5, upto: int | None = None) -> None:
    await jobs.put([replace(DOUBT, due_at=due_at, since=since, upto=upto or since)], now=now)


async def claim(jobs: PushJobs, now: int) -> Job:
    (job,) = await jobs.claim(LANE, 10, now=now, lease_ms=LEASE_MS)
    return job


async def pending(jobs: PushJobs) -> Job:
    job = await jobs.get("phone", C)
    assert job is not None
    return job


async def test_many_messages_are_one_row_that_is_due_at_the_earliest_time(db: Database, jobs: PushJobs) -> None:
    await put(jobs, due_at=2_000, since=6, now=1)
    await put(jobs, due_at=1_000, since=5, now=2)
    await put(jobs, due_at=3_000, since=9, now=3)
    assert await db[PUSH_JOBS].count_documents({}) == 1
    job = await pending(jobs)
    assert (job.since, job.upto, job.due_at, job.ends_at, job.made_at) == (5, 9, 1_000, 100_000, 1)


async def test_jobs_put_at_the_same_moment_are_one_row(db: Database, jobs: PushJobs) -> None:
    await asyncio.gather(*(put(jobs, due_at=2_000 - n, since=5 + n) for n in range(20)))
    assert await db[PUSH_JOBS].count_documents({}) == 1
    job = await pending(jobs)
    assert (job.since, job.upto, job.due_at) == (5, 24, 1_981)


async def test_only_what_is_due_is_claimed_the_longest_due_first(jobs: PushJobs) -> None:
    doubts = [replace(DOUBT, device=f"phone{n}", due_at=1_000 - n) for n in range(5)]
    await jobs.put([*doubts, replace(DOUBT, device="other", lane="fcm|production|app")], now=0)
    assert await jobs.claim(LANE, 10, now=995, lease_ms=LEASE_MS) == []
    claimed = await jobs.claim(LANE, 3, now=1_000, lease_ms=LEASE_MS)
    assert [job.device for job in claimed] == ["phone4", "phone3", "phone2"]
    assert len(await jobs.claim(LANE, 3, now=1_000, lease_ms=LEASE_MS)) == 2


async def test_several_workers_never_claim_the_same_job(jobs: PushJobs) -> None:
    await jobs.put([replace(DOUBT, device=f"phone{n}") for n in range(60)], now=0)
    claimed: list[Job] = []

    async def work() -> None:
        while mine := await jobs.claim(LANE, 7, now=2_000, lease_ms=LEASE_MS):
            claimed.extend(mine)

    while len(claimed) < 60:
        await asyncio.gather(*(work() for _ in range(6)))
    assert sorted(job.device for job in claimed) == sorted(f"phone{n}" for n in range(60))


async def test_the_job_of_a_killed_worker_is_anybodys_after_its_lease_and_only_theirs(jobs: PushJobs) -> None:
    await put(jobs)
    killed = await claim(jobs, 1_000)
    assert await jobs.claim(LANE, 10, now=60_999, lease_ms=LEASE_MS) == []
    taken = await claim(jobs, 61_000)
    assert taken.claim != killed.claim
    await jobs.done(killed, now=61_001, shown=5)
    await jobs.wait(killed, 70_000, now=61_001)
    assert await pending(jobs) == taken
    await jobs.done(taken, now=61_002, shown=5, rang_at=61_002)
    assert await jobs.get("phone", C) is None


async def test_what_was_decided_makes_no_second_job(db: Database, jobs: PushJobs) -> None:
    await put(jobs, since=5, upto=7)
    await jobs.done(await claim(jobs, 1_000), now=1_001)
    before = await db[PUSH_JOBS].find_one({})
    await put(jobs, since=5, upto=7, now=1_002)
    assert await jobs.get("phone", C) is None
    assert await db[PUSH_JOBS].find_one({}) == before
    await put(jobs, since=7, upto=8, now=1_003, due_at=1_500)
    job = await pending(jobs)
    assert (job.since, job.upto, job.due_at, job.made_at, job.covered) == (8, 8, 1_500, 1_003, 7)


async def test_what_comes_while_a_job_is_being_done_is_due_afterwards(jobs: PushJobs) -> None:
    await put(jobs)
    job = await claim(jobs, 1_000)
    await put(jobs, since=6, due_at=2_500, now=1_500)
    assert await jobs.claim(LANE, 10, now=3_000, lease_ms=LEASE_MS) == []
    await jobs.done(job, now=3_000, shown=5, rang_at=3_000)
    again = await claim(jobs, 3_001)
    assert (again.since, again.upto, again.due_at, again.shown, again.rang_at) == (6, 6, 2_500, 5, 3_000)


async def test_what_comes_while_a_job_is_being_done_is_covered_if_it_was_in_it(jobs: PushJobs) -> None:
    await put(jobs)
    job = await claim(jobs, 1_000)
    await put(jobs, since=6, now=1_001)
    await jobs.done(job, covered=6, now=1_002, shown=6)
    assert await jobs.get("phone", C) is None


async def test_a_job_waits_until_then_or_until_something_more_urgent_comes(jobs: PushJobs) -> None:
    await put(jobs)
    await jobs.wait(await claim(jobs, 1_000), 50_000, now=1_001, reason="do_not_disturb", ends_at=200_000)
    job = await pending(jobs)
    assert (job.due_at, job.waited, job.waited_until, job.ends_at) == (50_000, "do_not_disturb", 50_000, 200_000)
    await put(jobs, since=6, due_at=3_000)
    assert (await claim(jobs, 3_000)).waited == "do_not_disturb"


async def test_a_job_that_waits_for_its_provider_is_not_brought_forward_by_another_message(jobs: PushJobs) -> None:
    await put(jobs)
    job = await claim(jobs, 1_000)
    await put(jobs, since=6, due_at=1_500, now=1_001)
    await jobs.wait(job, 9_000, now=1_002, attempts=1)
    await put(jobs, since=7, due_at=2_000, now=1_003)
    waiting = await pending(jobs)
    assert (waiting.due_at, waiting.attempts, waiting.upto) == (9_000, 1, 7)
    await jobs.done(await claim(jobs, 9_000), now=9_001)
    await put(jobs, since=8, due_at=9_500)
    assert ((await pending(jobs)).due_at, (await pending(jobs)).attempts) == (9_500, 0)


async def test_only_what_waits_for_its_lane_is_hurried(jobs: PushJobs) -> None:
    names = ("held", "quiet", "tried", "leased", "due")
    await jobs.put([replace(DOUBT, device=name) for name in names], now=0)
    await jobs.put([replace(DOUBT, lane="fcm|production|app", due_at=9_000)], now=0)
    claimed = {job.device: job for job in await jobs.claim(LANE, 10, now=1_000, lease_ms=5_000)}
    await jobs.wait(claimed["held"], 60_000, now=1_000)
    await jobs.wait(claimed["quiet"], 60_000, now=1_000, reason="do_not_disturb")
    await jobs.wait(claimed["tried"], 60_000, now=1_000, attempts=1)
    await jobs.wait(claimed["due"], 2_000, now=1_000)
    assert await jobs.hurry(LANE, now=3_000) == 1
    due = {name: (await jobs.get(name, C)) for name in (*names, "phone")}
    assert {name: job.due_at for name, job in due.items() if job} == {
        "held": 3_000,
        "quiet": 60_000,
        "tried": 60_000,
        "leased": 1_000,
        "due": 2_000,
        "phone": 9_000,
    }
    assert await jobs.hurry(LANE, now=3_000) == 0


async def test_a_device_that_moved_to_another_lane_takes_its_job_along(jobs: PushJobs) -> None:
    await put(jobs)
    await jobs.wait(await claim(jobs, 1_000), 1_000, now=1_001, lane="fcm|production|app")
    assert [one.lane for one in await jobs.lanes()] == ["fcm|production|app"]


async def test_reading_elsewhere_and_edits_touch_only_devices_that_show_it(jobs: PushJobs) -> None:
    for device, shown in (("old", 4), ("phone", 6), ("none", 0)):
        await jobs.put([replace(DOUBT, device=device, upto=6)], now=0)
        await jobs.done(await claim(jobs, 1_000), now=1_000, shown=shown)
    assert await jobs.changed(C, 5, due_at=2_000, ends_at=9_000, now=1_500) == 1
    job = await claim(jobs, 2_000)
    assert (job.device, job.is_news, job.shown) == ("phone", False, 6)
    # While it is being done the other one happens: it is not lost.
    assert await jobs.read({("ada", C): 6}, due_at=2_100, number_due_at=2_900, ends_at=9_000, now=2_050) == 2
    await jobs.done(job, now=2_200, shown=6)
    assert {one.device for one in await jobs.claim(LANE, 10, now=2_200, lease_ms=LEASE_MS)} == {"phone", "old"}


async def test_whoever_claims_what_was_not_given_back_is_told_so_until_it_is_done(jobs: PushJobs) -> None:
    await jobs.put([DOUBT], now=0)
    assert not (await claim(jobs, 1_000)).resumed
    now = 1_000 + LEASE_MS + 1
    job = await claim(jobs, now)
    assert job.resumed
    await jobs.wait(job, now + 10, now=now)
    job = await claim(jobs, now + 10)
    assert job.resumed
    await jobs.done(job, now=now + 20)
    await jobs.put([replace(DOUBT, since=DOUBT.upto + 1, upto=DOUBT.upto + 1)], now=now + 30)
    assert not (await claim(jobs, now + 2_000)).resumed


async def test_a_dead_letter_is_kept_and_can_be_replayed(db: Database, jobs: PushJobs) -> None:
    await put(jobs, since=5, upto=7)
    job = await claim(jobs, 1_000)
    await jobs.wait(job, 1_000, now=1_000, attempts=3)
    await jobs.bury(await claim(jobs, 1_000), "rejected", now=1_001)
    assert await jobs.get("phone", C) is None
    (letter,) = await jobs.dead(lane=LANE, limit=10)
    assert (letter.device, letter.since, letter.upto, letter.attempts, letter.reason) == ("phone", 5, 7, 3, "rejected")
    assert await jobs.dead(lane="another", limit=10) == []
    assert await jobs.replay(letter.id, now=5_000, life_ms=1_000)
    job = await claim(jobs, 5_000)
    assert (job.since, job.upto, job.attempts, job.is_news) == (5, 7, 0, True)
    assert not await jobs.replay(letter.id, now=5_000, life_ms=1_000)
    assert await db[PUSH_DEAD].count_documents({}) == 0


async def test_every_lane_tells_since_when_its_first_job_is_due(jobs: PushJobs) -> None:
    await jobs.put([replace(DOUBT, device=f"phone{n}", due_at=1_000 + n) for n in range(3)], now=0)
    await jobs.put([replace(DOUBT, lane="slow", due_at=500)], now=0)
    assert [(one.lane, one.due_at) for one in await jobs.lanes()] == [("slow", 500), (LANE, 1_000)]
    assert await jobs.count(LANE, due_before=1_001) == 2
    await jobs.done((await jobs.claim("slow", 1, now=500, lease_ms=1))[0], now=500)
    assert [one.lane for one in await jobs.lanes()] == [LANE]


async def test_a_device_knows_when_it_rang_and_what_it_shows(jobs: PushJobs) -> None:
    for n, conversation in enumerate(("a", "b")):
        await jobs.put([replace(DOUBT, conversation=conversation)], now=0)
        await jobs.done(await claim(jobs, 1_000), now=1_000, shown=5, rang_at=1_000 + n)
    assert await jobs.rang("phone", since=1_001) == [1_001]
    assert await jobs.shown("phone") == {"a": 5, "b": 5}
    assert await jobs.forget("phone") == 2
    assert await jobs.shown("phone") == {}


async def test_only_rows_without_a_job_are_removed_by_the_server(db: Database, jobs: PushJobs) -> None:
    await put(jobs)
    assert await db[PUSH_JOBS].count_documents({"forget_at": {"$exists": True}}) == 0
    await jobs.done(await claim(jobs, 1_000), now=1_001)
    assert await db[PUSH_JOBS].count_documents({"forget_at": {"$exists": True}}) == 1
    await put(jobs, since=6)
    assert await db[PUSH_JOBS].count_documents({"forget_at": {"$exists": True}}) == 0


async def test_what_is_due_is_found_by_the_index(db: Database, jobs: PushJobs) -> None:
    query = {"lane": LANE, "due": {"$gt": 0, "$lte": 5}, "lease": {"$not": {"$gt": 5}}}
    plan = await db[PUSH_JOBS].find(query).sort("due", 1).explain()
    assert "'indexName': 'due'" in str(plan["queryPlanner"]["winningPlan"])
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])
