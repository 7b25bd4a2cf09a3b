"""What is asked for at the same time goes together, and what is wrong with one is not wrong with the others."""

import asyncio
from collections.abc import Sequence

import pytest

from storage.errors import Unavailable
from storage.mongo.together import Together, UsersTogether


class Asked:
    """Doubles numbers; `broken` cannot be read."""

    def __init__(self, broken: int | None = None, error: Exception | None = None) -> None:
        self.batches: list[list[int]] = []
        self.broken = broken
        self.error = error or KeyError("a field")

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        if self.broken in items:
            raise self.error
        return [2 * item for item in items]


async def test_each_is_asked_for_by_itself_until_it_is_entered() -> None:
    asked = Asked()
    together = Together(asked)
    assert await asyncio.gather(together.ask(1), together.ask(2)) == [2, 4]
    async with together:
        assert await asyncio.gather(together.ask(1), together.ask(2), together.ask(1)) == [2, 4, 2]
    assert await together.ask(3) == 6
    assert asked.batches == [[1], [2], [1, 2], [3]]


async def test_a_row_that_cannot_be_read_is_of_the_one_that_has_it() -> None:
    asked = Asked(broken=2)
    async with Together(asked) as together:
        found = await asyncio.gather(*(together.ask(item) for item in (1, 2, 3)), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (2, KeyError, 6)


@pytest.mark.parametrize("error", [Unavailable("away"), ConnectionError("away"), TimeoutError()])
async def test_servers_that_are_away_are_away_for_all_and_asked_once(error: Exception) -> None:
    asked = Asked(broken=2, error=error)
    async with Together(asked) as together:
        found = await asyncio.gather(*(together.ask(item) for item in (1, 2, 3)), return_exceptions=True)
    assert [type(one) for one in found] == [type(error)] * 3
    assert asked.batches == [[1, 2, 3]]


async def test_users_of_several_askers_are_one_question() -> None:
    asked: list[list[str]] = []

    async def of_users(users: Sequence[str]) -> dict[str, str]:
        asked.append(list(users))
        return {user: user.upper() for user in users}

    async with UsersTogether(of_users) as together:
        found = await asyncio.gather(together.of_users(["ada", "bob"]), together.of_users(["bob"]))
    assert found == [{"ada": "ADA", "bob": "BOB"}, {"bob": "BOB"}]
    assert asked == [["ada", "bob"]]
