"""Whether MongoDB answers is watched, whatever those do who are told of it."""

import uuid

from storage.mongo.client import connect
from storage.mongo.health import Health
from support.fail_points import failing
from support.waiting import eventually


async def test_a_listener_that_fails_does_not_end_the_watch(mongodb_url: str, database_name: str) -> None:
    name = f"health-{uuid.uuid4().hex}"
    told: list[bool] = []

    def fails(available: bool) -> None:
        told.append(available)
        raise RuntimeError("whoever listens has a fault")

    async with connect(mongodb_url, database_name, app_name=name) as db, Health(db) as health:
        health.on_change = fails
        for available in (False, True, False, True):
            if available:
                await eventually(lambda: health.available)
                continue
            async with failing(mongodb_url, name, ["ping"], errorCode=91):
                health.doubt()
                await eventually(lambda: not health.available)
    assert told == [False, True, False, True]
