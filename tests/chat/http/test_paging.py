"""Lists and pages: their limits and cursors, and what caches may keep of them."""

from typing import Any

import aiohttp
import pytest
from yarl import URL

from chat.http.answers import COMPRESS_FROM_BYTES
from chat.http.resources import RESOURCES
from chat.vocabulary.cursor import encode_cursor
from support.resting import create, key, refusal, send
from support.waiting import eventually

NOWHERE = "z" * 26

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def own(session: aiohttp.ClientSession) -> str:
    """Some conversation of the caller."""
    async with session.get("/v1/conversations?limit=1") as response:
        listed = (await response.json())["conversations"]
    return str(listed[0]["id"] if listed else (await create(session))["id"])


async def test_the_list_is_paged(alice):
    made = [(await create(alice, title=str(number)))["id"] for number in range(5)]
    found: list[str] = []
    before: dict[str, str] = {}
    while True:
        async with alice.get("/v1/conversations", params={"limit": "2", **before}) as response:
            page = await response.json()
        found += [one["id"] for one in page["conversations"]]
        if "next" not in page:
            break
        before = {"before": page["next"]}
    assert len(found) == len(set(found))
    assert set(made) <= set(found)


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("garbage", id="R2-garbage"),
        pytest.param("", id="R2-empty"),
        pytest.param("AAAA", id="R2-bytes-of-nothing"),
        pytest.param("!!!", id="R2-no-base64"),
        pytest.param("é", id="R2-not-ascii"),
        pytest.param("x" * 200, id="R2-200-characters"),
        pytest.param("x" * 7000, id="R2-7000-characters"),
        pytest.param(encode_cursor(10**20, NOWHERE), id="R2-a-time-beyond-all"),
        pytest.param(encode_cursor(-5, NOWHERE), id="R2-a-negative-time"),
        pytest.param(encode_cursor(5, "$x"), id="R2-an-operator-as-id"),
        pytest.param(encode_cursor(0, ""), id="R2-no-id"),
        pytest.param(encode_cursor(5, NOWHERE)[:-3], id="R2-cut-off"),
        pytest.param("\0" + encode_cursor(5, NOWHERE), id="R2-nul-in-front"),
    ],
)
async def test_a_cursor_of_nobody_is_refused(alice, cursor):
    async with alice.get("/v1/conversations", params={"before": cursor}) as response:
        assert await refusal(response) == (400, "bad_request")
    async with alice.post("/v1/sync", json={"before": cursor}) as response:
        assert await refusal(response) == (400, "bad_request")


@pytest.mark.parametrize("number", [pytest.param(5, id="R2-a-cursor-of-somebody-else")])
async def test_the_cursor_of_another_leads_through_ones_own_list_only(alice, bob, number):
    for session in (alice, bob):
        for _ in range(number):
            await create(session)
    async with bob.get("/v1/conversations?limit=2") as response:
        of_bob = (await response.json())["next"]
    async with bob.get("/v1/conversations?limit=200") as response:
        bobs = {one["id"] for one in (await response.json())["conversations"]}
    async with alice.get("/v1/conversations", params={"before": of_bob, "limit": "200"}) as response:
        assert response.status == 200
        given = {one["id"] for one in (await response.json())["conversations"]}
    assert given
    assert not given & bobs


async def test_pages_ascend_and_meet(alice):
    conversation = (await create(alice))["id"]
    sent = [(await send(alice, conversation, str(number)))["offset"] for number in range(10)]
    path = f"/v1/conversations/{conversation}/messages"

    async def page(**query: Any) -> dict[str, Any]:
        async with alice.get(path, params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    newest = await page(limit=4)
    assert [one["offset"] for one in newest["items"]] == sent[-4:]
    assert (newest["page"]["has_before"], newest["page"]["has_after"]) == (True, False)
    older = await page(limit=4, before=newest["page"]["oldest"])
    assert [one["offset"] for one in older["items"]] == sent[2:6]
    after = await page(limit=3, after=sent[4])
    assert [one["offset"] for one in after["items"]] == sent[5:8]
    around = await page(limit=4, around=sent[5])
    assert sent[5] in [one["offset"] for one in around["items"]]
    unread = await page(**{"from": "first_unread"}, limit=200)
    assert {one["offset"] for one in unread["items"]} <= set(sent)


LIMITS = {
    "R1-zero": "limit=0",
    "R1-negative": "limit=-1",
    "R1-one-too-many": "limit=1001",
    "R1-a-thousand-million": "limit=1000000000",
    "R1-5000-digits": "limit=" + "9" * 5000,
    "R1-empty": "limit=",
    "R1-a-word": "limit=ten",
    "R1-quoted": "limit=%2210%22",
    "R1-spaces-around": "limit=%2012%20",
    "R1-a-line-break-behind": "limit=12%0a",
    "R1-nul-behind": "limit=12%00",
    "R1-full-width-digits": "limit=%EF%BC%91%EF%BC%92",
    "R1-arabic-digits": "limit=%D9%A1%D9%A2",
    "R1-a-superscript": "limit=%C2%B2",
    "R1-an-underscore": "limit=1_0",
    "R1-a-plus": "limit=%2B5",
    "R1-a-leading-zero": "limit=05",
    "R1-hex": "limit=0x10",
    "R1-an-exponent": "limit=1e1",
    "R1-a-fraction": "limit=5.0",
    "R1-true": "limit=true",
    "R1-twice": "limit=5&limit=6",
    "R1-twice-the-same": "limit=5&limit=5",
    "R1-an-operator": "limit[$gt]=1",
    "R1-another-case": "Limit=5",
}


@pytest.mark.parametrize("query", [pytest.param(query, id=name) for name, query in LIMITS.items()])
@pytest.mark.parametrize("resource", ["/v1/conversations", "messages", "members", "pins"])
async def test_a_limit_is_a_whole_number_in_plain_digits(alice, resource, query):
    path = resource if resource.startswith("/") else f"/v1/conversations/{await own(alice)}/{resource}"
    async with alice.get(URL(f"{path}?{query}", encoded=True)) as response:
        assert await refusal(response) == (400, "bad_request")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("before=1&after=2", id="R3-before-and-after"),
        pytest.param("after=5&before=2", id="R3-from-above-to-below"),
        pytest.param("before=1&around=2", id="R3-before-and-around"),
        pytest.param("after=1&around=2", id="R3-after-and-around"),
        pytest.param("after=1&from=first_unread", id="R3-after-and-from"),
        pytest.param("before=3&before=2", id="R3-before-twice"),
        pytest.param("from=last", id="R3-from-nowhere"),
        pytest.param("before=-1", id="R2-a-negative-offset"),
        pytest.param(f"before={2**44}", id="R2-an-offset-beyond-all"),
        pytest.param(f"before={2**63}", id="R2-an-offset-of-64-bits"),
        pytest.param("before=%27%20or%201=1", id="R2-an-expression"),
        pytest.param("at=5", id="R3-at"),
    ],
)
async def test_wrong_pages_are_refused(alice, query):
    async with alice.get(URL(f"/v1/conversations/{await own(alice)}/messages?{query}", encoded=True)) as response:
        assert await refusal(response) == (400, "bad_request")


async def test_an_unchanged_page_is_304(alice):
    conversation = (await create(alice))["id"]
    await send(alice, conversation, "x" * 2000)
    path = f"/v1/conversations/{conversation}/messages"
    async with alice.get(path) as response:
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert "no-store" not in response.headers["Cache-Control"]
        assert response.headers["Content-Encoding"] == "gzip"
        await response.json()
    async with alice.get(path, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
        assert await response.read() == b""
        assert response.headers["ETag"] == etag
    async with alice.get(path, headers={"If-None-Match": etag, "Accept-Encoding": "identity"}) as response:
        assert response.status == 304
    await send(alice, conversation, "another")
    async with alice.get(path, headers={"If-None-Match": etag}) as response:
        assert response.status == 200
        assert response.headers["ETag"] != etag


async def test_small_answers_and_those_who_do_not_ask_get_no_gzip(alice):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}/messages"
    async with alice.get(path) as response:
        assert "Content-Encoding" not in response.headers
    await send(alice, conversation, "x" * 2000)
    async with alice.get(path, headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers


async def test_the_tag_of_a_page_changes_with_whatever_changes_in_it(alice, bob):
    conversation = (await create(alice, members=["bob"]))["id"]
    first, second, third = [(await send(alice, conversation, text))["offset"] for text in ("one", "two", "three")]
    path = f"/v1/conversations/{conversation}/messages"

    async def tag(session: aiohttp.ClientSession) -> str:
        async with session.get(path) as response:
            return response.headers["ETag"]

    async def reacted() -> bool:
        return await tag(alice) not in seen

    seen = [await tag(alice)]
    assert await tag(bob) == seen[0]
    async with alice.patch(f"{path}/{first}", json={"text": "changed", "idempotency_key": key()}) as response:
        assert response.status == 200, await response.text()
    seen.append(await tag(alice))
    async with bob.put(f"{path}/{second}/reactions/%F0%9F%91%8D") as response:
        assert response.status == 200, await response.text()
    await eventually(reacted)
    seen.append(await tag(alice))
    async with alice.delete(f"{path}/{second}") as response:
        assert response.status == 200, await response.text()
    seen.append(await tag(alice))
    assert await tag(bob) == seen[-1]
    async with alice.post(f"{path}/delete", json={"offsets": [third], "for": "me"}) as response:
        assert response.status == 200, await response.text()
    assert await tag(bob) == seen[-1]
    seen.append(await tag(alice))
    assert len(set(seen)) == len(seen)


async def test_a_list_of_several_conversations_is_not_compressed(alice):
    """Who writes to somebody would learn from its length what others write to them."""
    for title in ("x" * 200, "y" * 200, "z" * 200, "w" * 200):
        await create(alice, title=title)
    async with alice.get("/v1/conversations", headers={"Accept-Encoding": "gzip"}) as response:
        assert len(await response.read()) > COMPRESS_FROM_BYTES
        assert "Content-Encoding" not in response.headers


async def test_head_is_get_without_a_body(alice):
    async with alice.head("/v1/me") as response:
        assert response.status == 200
        assert await response.read() == b""


def named(path: str) -> str:
    return "R23-" + path.strip("/").replace("{", "").replace("}", "").replace("/", "-")


PATHS = {named(resource.path): resource.path for resource in RESOURCES if resource.verb == "GET"}


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in PATHS.items()])
async def test_no_shared_cache_keeps_what_is_somebody_s_own(alice, path):
    place = path.replace("{conversation}", await own(alice)).replace("{offset}", "1").replace("{user}", "alice")
    async with alice.get(place.replace("{", "").replace("}", "")) as response:
        assert response.headers["Cache-Control"] in ("no-store", "private, no-cache")
        if response.status == 200:
            assert "Authorization" in response.headers["Vary"]


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1", "image/*", "x"])
@pytest.mark.parametrize("path", [pytest.param("/v1/me", id="R22-answer"), pytest.param("/v1/x", id="R22-refusal")])
async def test_whatever_a_browser_would_rather_see_it_is_json_and_stays_that(alice, path, accept):
    async with alice.get(path, headers={"Accept": accept}) as response:
        assert response.content_type in ("application/json", "application/problem+json")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
