"""Words to search for are words: nothing in them is a pattern, and nothing in them or in a text takes for ever."""

from uuid import uuid4

import pytest
import pytest_asyncio

from support.app import App
from support.talking import group, say
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE_TEXT = "x" + "a" * 16_000
WORDS = {
    "D6-nested-repetitions": "(a+)+$",
    "D6-repeated-alternatives": "(a|a)*b",
    "D6-a-star-of-anything": "(.*)*",
    "D6-a-back-reference": r"(a*)\1\1\1!",
    "D6-a-look-around": "(?<=a)a(?=a)",
    "D6-an-endless-recursion": "(?R)",
    "D6-counts": "a{1,65535}",
    "D6-flags": "(?i)(?s).*",
    "D6-a-comment": "(?#",
    "D6-half-a-class": "[a-",
    "D6-a-backslash-at-the-end": "a\\",
    "D6-nul": "a\0",
    "D6-the-beginning-of-a-long-word": "a" * 8,
    "D6-a-long-word": "a" * 150,
    "D6-ten-long-words": " ".join("a" * number for number in range(10, 20)),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def conversation(shared_app: App) -> str:
    async with wire_client(shared_app.websocket) as alice:
        await alice.connect(shared_app.token("alice"))
        made = await group(alice)
        for _ in range(20):
            await say(alice, made, HOSTILE_TEXT)
        return made


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in WORDS.items()])
async def test_what_is_searched_for_is_found_as_it_is_and_nothing_else(
    shared_app: App, conversation: str, text: str
) -> None:
    async with shared_app.rest("alice") as rest:
        path = f"/v1/conversations/{conversation}/search"
        async with rest.get(path, params={"text": text}) as response:
            assert response.status == 200, await response.text()
            assert (await response.json())["items"] == []
        said = {"text": f"look: {text}", "idempotency_key": str(uuid4())}
        async with rest.post(f"/v1/conversations/{conversation}/messages", json=said) as response:
            sent = (await response.json())["message"]
        async with rest.get(path, params={"text": text}) as response:
            assert [one["offset"] for one in (await response.json())["items"]] == [sent["offset"]]
        async with rest.delete(f"/v1/conversations/{conversation}/messages/{sent['offset']}") as response:
            assert response.status == 200
