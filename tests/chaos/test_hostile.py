"""Push services that do what none should, and phones that remember what came."""

import ssl
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from chaos import hostile
from chaos.hostile import Hostile, open_hostile
from chaos.pocket import Heard
from chat.push.lab.apns_tls import ThrowAwayAuthority

AUTHORITY = ThrowAwayAuthority()


@pytest.fixture
async def strange() -> AsyncIterator[Hostile]:
    async with open_hostile(AUTHORITY.server(["http/1.1"])) as one:
        yield one


async def _asked(one: Hostile, *, timeout_s: float = 20.0, most_bytes: int = 1 << 20) -> tuple[int, str, int]:
    """Status, Retry-After, and how many bytes of the answer were read, of so many at most."""
    trust: ssl.SSLContext = AUTHORITY.client()
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(one.endpoint, data=b"sealed", ssl=trust) as response,
    ):
        read = 0
        async for chunk in response.content.iter_chunked(65536):
            read += len(chunk)
            if read >= most_bytes:
                break
        return response.status, response.headers.get("Retry-After", ""), read


async def test_who_is_busy_says_for_how_long_and_takes_it_in_the_end(strange: Hostile) -> None:
    strange.behave(hostile.busy(7, times=2))
    assert [(await _asked(strange))[:2] for _ in range(3)] == [(429, "7"), (429, "7"), (201, "")]
    assert len(strange.asked) == len(strange.answered) == 3
    assert strange.asked == sorted(strange.asked)


async def test_how_much_of_an_answer_without_end_was_taken_is_known(strange: Hostile) -> None:
    strange.behave(hostile.floods(256 << 20))
    status, _, read = await _asked(strange)
    assert (status, read >= 1 << 20) == (201, True)
    assert 0 < strange.most_taken < 256 << 20


async def test_who_hangs_says_nothing_until_the_other_side_leaves(strange: Hostile) -> None:
    strange.behave(hostile.hangs)
    with pytest.raises(TimeoutError):
        await _asked(strange, timeout_s=1.0)
    assert not strange.answered


async def test_a_connection_that_is_reset_ends_without_an_answer(strange: Hostile) -> None:
    strange.behave(hostile.resets)
    with pytest.raises(aiohttp.ClientError):
        await _asked(strange)
    assert (len(strange.asked), len(strange.answered)) == (1, 0)


def test_a_phone_remembers_what_came_and_whether_it_rang() -> None:
    phone = Heard("ios", "token")
    told: list[bool] = []
    phone.on_came = lambda came: told.append(came.rang)
    aps = {"alert": {"title": "Dave", "body": "Hello"}, "sound": "default", "mutable-content": 1}
    payload = orjson.dumps({"aps": aps, "job_id": "j1", "conversation": "c1", "upto": 3})
    for _ in range(2):
        phone.show("apns", "token", {"apns-push-type": "alert", "apns-collapse-id": "c"}, payload)
    assert [(one.job, one.conversation, one.upto, one.sound, one.rang) for one in phone.came] == [
        ("j1", "c1", 3, True, True),
        ("j1", "c1", 3, True, False),
    ]
    assert told == [True, False]
