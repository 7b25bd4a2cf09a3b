"""How the time of a drain is divided, and the requests it waits for."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from chat.config import load
from chat.serving.draining import Leaving, Plan, announce, window_s
from chat.serving.inflight import InFlight


@pytest.mark.parametrize(
    ("connections", "left_s", "spread_s", "answers_s"),
    [
        (0, 20, 0, 4),
        (10, 20, 0.2, 4),  # few: 50 a second
        (100, 20, 1, 4),
        (1_000, 20, 5, 4),  # many: 200 a second
        (15_000, 20, 10, 4),  # very many: half of the time
        (15_000, 1, 0.5, 0.2),
        (10, 600, 0.2, 5),  # SDKs wait no longer for an answer
    ],
)
def test_closing_is_spread_and_leaves_time_for_the_rest(connections, left_s, spread_s, answers_s) -> None:
    plan = Plan.of(connections, left_s)
    assert (plan.spread_s, plan.answers_s) == pytest.approx((spread_s, answers_s))
    assert plan.spread_s + plan.answers_s <= 0.7 * left_s


@pytest.mark.parametrize(("delay", "timeout", "window"), [("5s", "25s", 5), ("20s", "25s", 12.5), ("0s", "25s", 0)])
def test_the_window_is_at_most_half_of_the_time(delay: str, timeout: str, window: float) -> None:
    config = load(None, {}, {"server.termination_delay": delay, "server.shutdown_timeout": timeout}).config
    assert window_s(config.server) == window


async def test_readiness_fails_from_the_first_moment_and_the_window_can_be_skipped() -> None:
    leaving, skip = Leaving(), asyncio.Event()
    announcing = asyncio.create_task(announce(leaving, load(None, {}).config.server, skip))
    await asyncio.sleep(0)
    assert leaving.begun
    assert not leaving.draining
    skip.set()
    await announcing


async def test_requests_are_waited_for_and_sockets_are_not() -> None:
    requests, answer, hurry = InFlight(), asyncio.Event(), asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        await answer.wait()
        return web.Response()

    socket = asyncio.create_task(
        requests.counted(make_mocked_request("GET", "/", headers={"Upgrade": "websocket"}), handler)
    )
    await requests.done(10, hurry)
    request = asyncio.create_task(requests.counted(make_mocked_request("GET", "/"), handler))
    await asyncio.sleep(0)
    assert requests.count == 1
    await requests.done(0.01, hurry)
    assert requests.count == 1, "the time was over"
    waiting = asyncio.create_task(requests.done(10, hurry))
    answer.set()
    await waiting
    assert requests.count == 0
    await asyncio.gather(socket, request)


async def test_connections_end_with_their_answer_once_the_process_leaves() -> None:
    requests = InFlight()

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response()

    async def missing(_: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    assert (await requests.counted(make_mocked_request("GET", "/"), handler)).keep_alive is None
    requests.leaving = True
    assert (await requests.counted(make_mocked_request("GET", "/"), handler)).keep_alive is False
    with pytest.raises(web.HTTPNotFound) as raised:
        await requests.counted(make_mocked_request("GET", "/"), missing)
    assert raised.value.keep_alive is False
