"""Every operation of the OpenAPI document, called as each kind of caller: no fault, and every answer as described.

A longer run: `make fuzz`, or FUZZ_EXAMPLES=50.
"""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chat.description.openapi import openapi
from support.app import API_KEY, App, serve_app, test_config
from support.fuzzing import Fuzzer

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300 * EXAMPLES)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(_mongodb: Any, _redis: Any, mongodb_url: str, redis_url: str) -> AsyncIterator[App]:
    name = f"test_{secrets.token_hex(6)}"
    async with serve_app(test_config(mongodb_url, name, redis_url, name)) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


@pytest.mark.parametrize("area", ["resources", "rpc", "server"])
async def test_everything_is_answered_as_described(app: App, area: str) -> None:
    def wanted(path: str) -> bool:
        if path.startswith("/v1/rpc/"):
            return area == "rpc"
        return area == ("resources" if path.startswith("/v1/") else "server")

    outcome = await asyncio.to_thread(Fuzzer(app, examples=EXAMPLES).run, wanted)
    assert not outcome.failures, f"{len(outcome.failures)} failed:\n\n" + "\n\n".join(outcome.failures)
    assert {200, 401} <= outcome.statuses.keys() or area == "rpc", outcome.statuses


async def test_other_verbs_are_405_and_say_which_there_are(app: App) -> None:
    headers = {"Authorization": f"Bearer {app.token('alice')}", "X-API-Key": API_KEY}
    values = {"conversation": "z" * 26, "upload": "z" * 26, "user": "bob"}
    described = openapi()["paths"]
    async with aiohttp.ClientSession(app.http, headers=headers) as session:
        for path in described:
            # Any value will do: the path is found before it is looked at.
            address = re.sub(r"{(\w+)}", lambda found: values.get(found[1], "1"), path)
            there = verbs_at(address, described)
            for verb in (verb for verb in VERBS if verb not in there):
                async with session.request(verb, address) as answer:
                    assert answer.status == 405, (verb, path)
                    allowed = set(answer.headers["Allow"].split(","))
                    assert allowed - {"HEAD"} == there, (verb, path, allowed)


def verbs_at(address: str, described: dict[str, Any]) -> set[str]:
    """Those of every path that leads there: `/v1/things/first` may also be a `/v1/things/{thing}`."""
    paths = [path for path in described if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), address)]
    return {verb.upper() for path in paths for verb in described[path]}
