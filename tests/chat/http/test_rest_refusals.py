"""What the resources refuse: ids that cannot be, what is not there, what breaks a rule."""

import json

import pytest
from yarl import URL

from support.resting import create, key, refusal, without_instance

NOWHERE = "z" * 26

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("GET", "/members", None),
        ("POST", "/members", {"members": ["bob"]}),
        ("PATCH", "/members/bob", {"role": "admin"}),
        ("DELETE", "/members/bob", None),
        ("POST", "/join", None),
        ("POST", "/leave", None),
        ("GET", "/messages", None),
        ("POST", "/messages", {"text": "x", "idempotency_key": "k"}),
        ("GET", "/messages/1", None),
        ("PUT", "/read", {"offset": 1}),
        ("POST", "/typing", None),
        ("DELETE", "/typing", None),
    ],
)
async def test_foreign_and_missing_conversations_are_the_same_answer(alice, bob, verb, path, body):
    foreign = (await create(alice))["id"]
    answers = []
    for conversation in (foreign, NOWHERE):
        async with bob.request(verb, f"/v1/conversations/{conversation}{path}", json=body) as response:
            answers.append((response.status, without_instance(await response.json())))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


PATHS = {
    "R9-a-slash-at-the-end": "/v1/me/",
    "R9-a-slash-in-front": "//v1/me",
    "R9-two-slashes-within": "/v1//me",
    "R9-upper-case": "/V1/ME",
    "R9-a-parameter": "/v1/me;x=1",
    "R9-dots": "/v1/conversations/../me",
    "R9-encoded-dots": "/v1/%2e%2e/metrics",
    "R9-dots-encoded-twice": "/v1/%252e%252e/metrics",
    "R9-a-dot": "/v1/./me",
    "R9-an-extension": "/v1/me.json",
    "R9-nul": "/v1/me%00",
    "R9-a-line-break": "/v1/me%0a",
    "R9-a-space": "/v1/me%20",
    "R9-an-encoded-slash": "/v1%2fme",
    "R9-a-backslash": "/v1%5cme",
    "R9-another-letter": "/v1/m%65%CC%81",
}


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in PATHS.items()])
async def test_a_path_that_is_almost_one_is_none(alice, path):
    async with alice.get(URL(alice._base_url.human_repr().rstrip("/") + path, encoded=True)) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", [pytest.param("/v1/%6De", id="R9-an-encoded-letter")])
async def test_an_encoded_letter_is_that_letter(alice, path):
    async with alice.get(URL(path, encoded=True)) as response:
        assert response.status == 200


VERBS = {"R8-delete-a-profile": "DELETE", "R8-put-a-profile": "PUT", "R8-propfind": "PROPFIND", "R8-track": "TRACK"}


@pytest.mark.parametrize("verb", [pytest.param(verb, id=name) for name, verb in VERBS.items()])
async def test_another_verb_is_told_which_there_are(alice, verb):
    async with alice.request(verb, "/v1/me") as response:
        assert response.status in (400, 405)
        if response.status == 405:
            assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "PATCH"}


async def test_missing_messages_and_users_are_404(alice):
    conversation = (await create(alice))["id"]
    async with alice.get(f"/v1/conversations/{conversation}/messages/99") as response:
        assert await refusal(response) == (404, "permission_denied")
    async with alice.get(f"/v1/conversations/{conversation}/messages/1") as response:
        assert await refusal(response) == (404, "permission_denied")  # an entry, but no message
    async with alice.get("/v1/users/nobody-at-all") as response:
        assert await refusal(response) == (404, "permission_denied")


IDS = {
    "R10-another-word": "nope",
    "R10-encoded-slashes": "..%2f..%2fetc%2fpasswd",
    "R10-slashes-encoded-twice": "..%252f..%252fetc%252fpasswd",
    "R10-backslashes": "..%5c..%5cetc",
    "R10-nul": "a%00b",
    "R10-nul-behind-an-id": "a" * 26 + "%00",
    "R10-a-line-break": "a%0d%0aX:y",
    "R10-a-line-break-behind-an-id": "a" * 26 + "%0a",
    "R10-not-utf-8": "%ff",
    "R10-overlong": "%c0%ae%c0%ae",
    "R10-half-a-pair": "%ed%a0%80",
    "R10-a-percent-alone": "%",
    "R10-a-percent-and-no-hex": "%zz",
    "R10-upper-case": "Z" * 26,
    "R10-one-short": "a" * 25,
    "R10-one-more": "a" * 27,
    "R10-4000-characters": "a" * 4000,
    "R10-8000-characters": "a" * 8000,
    "R10-an-operator": "%7B%22$gt%22:%22%22%7D",
    "R10-a-star": "*",
    "R10-a-space": "%20" * 26,
}


@pytest.mark.parametrize("conversation", [pytest.param(text, id=name) for name, text in IDS.items()])
async def test_ids_that_cannot_be_are_refused(alice, conversation):
    for path in (f"/v1/conversations/{conversation}", f"/v1/conversations/{conversation}/messages"):
        async with alice.get(URL(path, encoded=True)) as response:
            assert response.status in (400, 404)
            text = await response.text()
            if response.content_type == "application/problem+json":
                assert json.loads(text)["code"] in ("bad_request", "method_not_found")
            else:
                assert (response.status, len(conversation)) == (400, 8000)  # the parser takes no such line
            assert len(text) < 1000
            assert "X" not in response.headers


async def test_a_thread_id_is_an_id(alice):
    conversation = (await create(alice))["id"]
    for thread in (f"{conversation}~1", f"{conversation}%7E1"):
        async with alice.get(f"/v1/conversations/{thread}") as response:
            assert await refusal(response) == (404, "permission_denied")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/text"),
        ({"text": "x" * 20_000}, "/text"),
        ({"text": "x", "mentions": ["ok", "not ok"]}, "/mentions/1"),
        ({"text": "x", "reply_to": -1}, "/reply_to"),
        ({"text": "x", "custom": {"big": "y" * 20_000}}, "/custom"),
        ({"text": "x", "attachments": [1]}, "/attachments/0"),
    ],
)
async def test_nothing_is_stored_of_a_wrong_message(alice, fields, pointer):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}/messages"
    async with alice.post(path, json={"idempotency_key": key(), **fields}) as response:
        assert response.status == 400
        told = await response.json()
    assert told["errors"][0]["pointer"] == pointer
    async with alice.get(path) as response:
        assert (await response.json())["items"] == []


@pytest.mark.parametrize(
    "text",
    [b'"\\u0000"', b'"a\\u0000b"', b'"\xf0\x9f\x91\x8d"', b'"\\r\\n\\u2028"', b'"{\\"$gt\\":1}"', b'"</script>"'],
)
async def test_any_text_is_kept_as_it_is_or_refused(alice, text):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}/messages"
    body = b'{"idempotency_key":"k","text":' + text + b"}"
    async with alice.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status in (201, 400)
        kept = (await response.json())["message"]["text"] if response.status == 201 else None
    async with alice.get(path) as response:
        assert [one["text"] for one in (await response.json())["items"]] == ([] if kept is None else [kept])


@pytest.mark.parametrize(
    "custom", [b'{"n":' + b"9" * 30 + b"}", b'{"$set":{"a":1}}', b'{"a.b":1}', b'{"":1}', b'{"n":1e308}']
)
async def test_any_custom_object_is_kept_as_it_is_or_refused(alice, custom):
    body = b'{"kind":"group","custom":' + custom + b"}"
    async with alice.post("/v1/conversations", data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status in (201, 400), await response.text()
        if response.status == 201:
            created = (await response.json())["conversation"]
            async with alice.get(f"/v1/conversations/{created['id']}") as found:
                assert (await found.json())["conversation"]["custom"] == created["custom"]
