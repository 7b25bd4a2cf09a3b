"""Searching live connections."""

import asyncio

import pytest

from chat.admin import connections as module
from chat.admin.connections import ConnectionInfo, ConnectionPage, Order, page, together


def connection(number: int, **changes: object) -> ConnectionInfo:
    fields: dict[str, object] = {
        "client": f"c{number:05d}",
        "user": f"user{number}",
        "process": "p",
        "node": "n",
        "codec": "json",
        "sdk": "js",
        "sdk_version": "5.4.0",
        "connected_at": number,
        "queued_bytes": number % 7,
        "subscriptions": number % 11,
        "address": f"203.0.113.{number % 250}",
    } | changes
    return ConnectionInfo(**fields)  # type: ignore[arg-type]


async def search(
    connections: list[ConnectionInfo], text: str, order: Order = "newest", limit: int = 50
) -> ConnectionPage:
    return await page(connections, lambda each: each, text, order=order, limit=limit)


@pytest.mark.parametrize("text", ["ADA", " ada ", "203.0.113.9", "dart", "cAda1"])
async def test_a_search_looks_at_user_client_address_and_sdk(text: str) -> None:
    wanted = connection(1, client="cada1", user="Ada", address="203.0.113.9", sdk="dart")
    found = await search([connection(2), wanted, connection(3)], text)
    assert (found.items, found.matching) == ([wanted], 1)


@pytest.mark.parametrize(("order", "first"), [("newest", 1_999), ("oldest", 0), ("queued", 6), ("subscriptions", 10)])
async def test_the_first_of_all_come_in_the_order_asked_for(order: Order, first: int) -> None:
    found = await search([connection(number) for number in range(2_000)], "", order, limit=10)
    assert found.items[0] == connection(first)
    assert (len(found.items), found.matching) == (10, 2_000)


async def test_an_answer_is_bounded_whatever_is_asked() -> None:
    everyone = [connection(number) for number in range(2_000)]
    assert len((await search(everyone, "", limit=10_000)).items) == module.MAX_CONNECTIONS
    assert (await search(everyone, "", limit=0)).items == []


async def test_looking_through_many_lets_the_event_loop_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await search([connection(number) for number in range(5_000)], "")
    task.cancel()
    assert turns >= 5_000 / module.CHUNK


async def test_answers_of_processes_become_one() -> None:
    one = await search([connection(number) for number in range(0, 20, 2)], "", limit=5)
    other = await search([connection(number) for number in range(1, 20, 2)], "", limit=5)
    merged = together([one, other], ["p3"], order="newest", limit=5)

    assert [each.connected_at for each in merged.items] == [19, 18, 17, 16, 15]
    assert (merged.matching, merged.silent) == (20, ["p3"])
