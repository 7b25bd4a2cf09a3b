"""What a payload may be: one table, sent over the socket in both spellings and over HTTP, answered alike.

Numbers are those of the catalogue in docs/security.md. Whatever is refused leaves nothing behind, and the connection
lives; only what is no protocol any more, a frame that is not JSON, ends it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import aiohttp
import pytest
import pytest_asyncio

from support.app import App
from support.protobuf_client import ProtobufClient, protobuf_client
from support.talking import group
from support.wire_client import WireClient, wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
REFUSED, TAKEN = 107, 0
GET, WHERE, KEY = "conversation.get", "conversation", "idempotency_key"
IDS = count(10_000)


@dataclass(frozen=True)
class Row:
    """`data` is what is sent to `method`, CONV in it stands for a conversation. `field`: what an error names.

    `breaks`: within a JSON frame it makes the frame no JSON, which closes 3501.
    """

    name: str
    data: bytes
    code: int = REFUSED
    field: str | None = None
    method: str = "message.send"
    breaks: bool = False


def send(fields: bytes) -> bytes:
    return b'{"conversation":"CONV","idempotency_key":"k",' + fields + b"}"


def custom(value: bytes) -> bytes:
    return send(b'"text":"x","custom":{"c":' + value + b"}")


def at(fields: bytes) -> bytes:
    return b'{"conversation":"CONV",' + fields + b"}"


def of(conversation: bytes, more: bytes = b"") -> bytes:
    return b'{"conversation":' + conversation + more + b"}"


MANY_NAMES = custom(b"{" + b",".join(b'"%d":1' % number for number in range(10_000)) + b"}")

TABLE = (
    # What is no JSON
    Row("P1-not-json", b"hello", breaks=True),
    Row("P1-empty", b"", field=WHERE, breaks=True),
    Row("P1-cut-off", b'{"conversation":', breaks=True),
    Row("P1-trailing-garbage", send(b'"text":"x"') + b"x", breaks=True),
    Row("P1-two-values", send(b'"text":"x"') + b" {}", breaks=True),
    Row("P1-byte-order-mark", b"\xef\xbb\xbf" + send(b'"text":"x"'), breaks=True),
    Row("P1-single-quotes", b"{'conversation':'CONV'}", breaks=True),
    Row("P1-comment", send(b'"text":"x"/**/'), breaks=True),
    Row("P1-trailing-comma", send(b'"text":"x",'), breaks=True),
    Row("P1-not-utf-8", send(b'"text":"\xff\xfe"'), breaks=True),
    Row("P1-overlong-utf-8", send(b'"text":"\xc0\xaf"'), breaks=True),
    Row("P1-surrogate-in-utf-8", send(b'"text":"\xed\xa0\x80"'), breaks=True),
    Row("P1-raw-control-in-a-string", send(b'"text":"a\x01b"'), breaks=True),
    Row("P2-array", b"[]"),
    Row("P2-string", b'"x"'),
    Row("P2-number", b"7"),
    Row("P2-true", b"true"),
    Row("P2-null", b"null"),
    # Shape
    Row("P4-a-thousand-levels", custom(b"[" * 1000 + b"]" * 1000), breaks=True),
    Row("P4-61-levels", custom(b"[" * 59 + b"]" * 59)),
    Row("P4-58-levels", custom(b"[" * 58 + b"]" * 58), TAKEN),
    Row("P4-64-kib-of-brackets", custom(b"[" * 60_000), breaks=True),
    Row("P4-wide-not-deep", custom(b"[" + b"[]," * 12_000 + b"[]]")),
    # Numbers
    Row("P5-4301-digits", custom(b"9" * 4301)),
    Row("P5-offset-of-4301-digits", send(b'"text":"x","reply_to":' + b"9" * 4301)),
    Row("P5-two-to-the-63-as-offset", send(b'"text":"x","reply_to":9223372036854775808'), field="reply_to"),
    Row("P5-minus-two-to-the-63-minus-1", send(b'"text":"x","reply_to":-9223372036854775809'), field="reply_to"),
    Row("P5-two-to-the-64-in-custom-data", custom(b"18446744073709551616"), TAKEN),
    Row("P5-1e400", custom(b"1e400")),
    Row("P5-1e400-as-offset", send(b'"text":"x","reply_to":1e400')),
    Row("P5-a-fraction-for-a-whole-number", send(b'"text":"x","reply_to":1.5'), field="reply_to"),
    Row("P5-leading-zero", send(b'"text":"x","reply_to":01'), breaks=True),
    Row("P5-plus", send(b'"text":"x","reply_to":+1'), breaks=True),
    Row("P6-nan", custom(b"NaN")),
    Row("P6-infinity", custom(b"Infinity")),
    Row("P6-minus-infinity", custom(b"-Infinity")),
    # Names
    Row("P7-a-key-twice-takes-the-last", at(b'"idempotency_key":"k","text":7,"text":"x"')),
    Row("P7-a-key-twice-in-custom-data", custom(b'{"a":1,"a":2}'), TAKEN),
    Row("P14-unknown-fields-are-nobody-s", send(b'"text":"x","__proto__":{"a":1},"constructor":1,"$set":2'), TAKEN),
    Row("P14-dots-and-operators-in-custom-data", custom(b'{"a.b":1,"$set":{"x":1},"__proto__":{},"":0}'), TAKEN),
    Row("P14-a-name-of-10-kb", custom(b'{"' + b"n" * 10_000 + b'":1}'), TAKEN),
    Row("P14-ten-thousand-names", MANY_NAMES),
    # Characters
    Row("P8-half-a-pair-in-a-text", send(b'"text":"\\ud800"')),
    Row("P8-the-other-half", send(b'"text":"\\udc00x"')),
    Row("P8-half-a-pair-in-a-key", send(b'"text":"x","custom":{"\\ud800":1}')),
    Row("P8-half-a-pair-in-an-id", b'{"conversation":"\\ud800","idempotency_key":"k","text":"x"}'),
    Row("P8-half-a-pair-in-a-name", b'{"name":"\\ud83d"}', method="user.update"),
    Row("P8-a-whole-pair", send(b'"text":"\\ud83d\\ude00"'), TAKEN),
    Row("P9-nul-in-a-text", send(b'"text":"a\\u0000b"'), TAKEN),
    Row("P9-nul-in-a-key-of-custom-data", custom(b'{"a\\u0000":1}'), TAKEN),
    Row("P9-nul-in-an-id", b'{"conversation":"CONV\\u0000","idempotency_key":"k","text":"x"}', field=WHERE),
    Row("P9-nul-in-a-key", send(b'"text":"x","idempotency_key":"a\\u0000"'), field=KEY),
    Row("P9-nul-in-a-mention", send(b'"text":"x","mentions":["bob\\u0000"]'), field="mentions[0]"),
    Row("P10-controls-directions-invisible", send(b'"text":"\\u001b[31m\\u202e\\u2028\\u200b\\u0007"'), TAKEN),
    Row("P10-escape-in-an-id", b'{"conversation":"CONV\\u001b","idempotency_key":"k","text":"x"}', field=WHERE),
    Row("P10-line-break-in-a-key", send(b'"text":"x","idempotency_key":"a\\n"'), field=KEY),
    Row("P10-space-in-a-key", send(b'"text":"x","idempotency_key":"a b"'), field=KEY),
    Row("P10-another-direction-in-a-user", send(b'"text":"x","mentions":["\\u202ebob"]'), field="mentions[0]"),
    Row("P10-zero-width-in-a-user", send(b'"text":"x","mentions":["bo\\u200bb"]'), field="mentions[0]"),
    Row("P10-line-break-at-the-end-of-an-id", b'{"conversation":"CONV\\n"}', field=WHERE, method="history.page"),
    # Texts
    Row("P11-an-empty-text", send(b'"text":""'), field="text"),
    Row("P11-the-longest-text", send(b'"text":"' + b"x" * 16_384 + b'"'), TAKEN),
    Row("P11-one-byte-more", send(b'"text":"' + b"x" * 16_385 + b'"'), field="text"),
    Row("P11-a-megabyte", send(b'"text":"' + b"x" * 1_000_000 + b'"')),
    Row("P11-the-longest-of-four-byte-characters", send(b'"text":"' + "\U0001f600".encode() * 4096 + b'"'), TAKEN),
    Row("P11-one-four-byte-character-more", send(b'"text":"' + "\U0001f600".encode() * 4097 + b'"'), field="text"),
    # Types
    Row("P12-true-for-a-number", send(b'"text":"x","reply_to":true'), field="reply_to"),
    Row("P12-digits-for-a-number", send(b'"text":"x","reply_to":"2"'), field="reply_to"),
    Row("P12-a-number-for-a-text", send(b'"text":1'), field="text"),
    Row("P12-a-text-for-a-list", send(b'"text":"x","mentions":"bob"'), field="mentions"),
    Row("P12-a-list-for-an-object", send(b'"text":"x","custom":[]'), field="custom"),
    Row("P12-null-for-a-text", send(b'"text":null'), field="text"),
    # Operators of the database
    Row("P13-greater-than-for-an-id", b'{"conversation":{"$gt":""},"idempotency_key":"k","text":"x"}', field=WHERE),
    Row("P13-not-equal-for-an-id", of(b'{"$ne":null}'), field=WHERE, method=GET),
    Row("P13-an-expression-for-a-text", send(b'"text":{"$regex":".*"}'), field="text"),
    Row("P13-not-equal-for-an-offset", at(b'"offset":{"$ne":0}'), field="offset", method="message.get"),
    Row("P13-where", b'{"$where":"sleep(9000)"}', TAKEN, method="conversation.list"),
    Row("P13-a-pattern-to-search", at(b'"text":{"$regex":".*"}'), field="text", method="history.search"),
    Row("P13-in-for-users", b'{"users":{"$in":["bob"]}}', field="users", method="presence.get"),
    Row("P13-an-operator-in-custom-data-is-data", custom(b'{"$gt":""}'), TAKEN),
    # Keys of sends
    Row("P16-no-key", at(b'"text":"x"'), field=KEY),
    Row("P16-an-empty-key", at(b'"idempotency_key":"","text":"x"'), field=KEY),
    Row("P16-a-number-as-key", at(b'"idempotency_key":7,"text":"x"'), field=KEY),
    Row("P16-a-key-of-65", send(b'"text":"x","idempotency_key":"' + b"k" * 65 + b'"'), field=KEY),
    Row("P16-a-key-of-a-megabyte", send(b'"text":"x","idempotency_key":"' + b"k" * 60_000 + b'"'), field=KEY),
    # Positions
    Row("P20-a-negative-position", at(b'"offset":-1'), field="offset", method="read.mark"),
    Row("P20-a-position-as-text", at(b'"offset":"1"'), field="offset", method="read.mark"),
    Row("P20-beyond-the-head-is-the-head", at(b'"offset":17592186044415'), TAKEN, method="read.mark"),
    Row("P20-two-to-the-44", at(b'"offset":17592186044416'), field="offset", method="read.mark"),
    # Ids
    Row("P24-zz", of(b'"zz"'), field=WHERE, method=GET),
    Row("P24-twelve-characters", of(b'"abcdefabcdef"'), field=WHERE, method=GET),
    Row("P24-an-object-id", of(b'"507f1f77bcf86cd799439011"'), field=WHERE, method=GET),
    Row("P24-upper-case", of(b'"' + b"A" * 26 + b'"'), field=WHERE, method=GET),
    Row("P24-null", of(b'null'), field=WHERE, method=GET),
    Row("P24-bytes", of(b'[97,98]'), field=WHERE, method=GET),
    Row("P24-an-extended-object-id", of(b'{"$oid":"507f1f77bcf86cd799439011"}'), field=WHERE, method=GET),
    Row("P24-empty", of(b'""'), field=WHERE, method=GET),
    Row("P24-a-thread-of-nothing", of(b'"CONV~0"'), field=WHERE, method=GET),
)  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module")
async def alice(shared_app: App) -> AsyncIterator[WireClient]:
    async with wire_client(shared_app.websocket) as client:
        await client.connect(shared_app.token("alice"))
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def binary(shared_app: App) -> AsyncIterator[ProtobufClient]:
    async with protobuf_client(shared_app.websocket, shared_app.token("alice")) as client:
        yield client


async def over_json(client: WireClient, row: Row, data: bytes) -> tuple[int, str]:
    """The error, or what the connection was closed with; (0, "") where all is well."""
    command_id = next(IDS)
    command = b'{"id":%d,"rpc":{"method":"%s","data":%s}}' % (command_id, row.method.encode(), data)
    await client.socket.send_frame(command, aiohttp.WSMsgType.TEXT)
    await client.until(lambda: command_id in client.replies or client.close_code is not None)
    if client.close_code is not None:
        return client.close_code, ""
    error = client.replies[command_id].get("error", {"code": 0, "message": ""})
    return error["code"], error["message"]


async def over_http(rest: aiohttp.ClientSession, row: Row, data: bytes) -> tuple[int, str]:
    """The error in the words of the socket."""
    async with rest.post(f"/v1/rpc/{row.method}", data=data, headers=JSON) as answer:
        told = await answer.json()
    if answer.status == 200:
        return 0, ""
    assert (answer.status, told["code"]) == (400, "bad_request"), told
    return REFUSED, f"bad_request: $.{told['detail']}"


def is_expected(row: Row, code: int, message: str) -> bool:
    """Whether an answer has the row's code, and names its field."""
    if code != row.code:
        return False
    return row.field is None or message.startswith(f"bad_request: $.{row.field}: ")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
async def test_a_payload_is_answered_alike_however_it_comes(
    shared_app: App, alice: WireClient, binary: ProtobufClient, row: Row
) -> None:
    conversation = await group(alice, "bob")
    data = row.data.replace(b"CONV", conversation.encode())
    told = {"protobuf": await binary.rpc(row.method, data)}
    async with shared_app.rest("alice") as rest:
        told["http"] = await over_http(rest, row, data)
    if not row.breaks:
        told["json"] = await over_json(alice, row, data)
    assert all(is_expected(row, *answer) for answer in told.values()), told
    kept = (await alice.rpc("history.page", conversation=conversation))["items"]
    assert len(kept) == (row.method == "message.send" and row.code == TAKEN)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE if row.breaks])
async def test_a_frame_that_is_no_json_ends_its_connection_and_no_other(
    shared_app: App, alice: WireClient, row: Row
) -> None:
    async with wire_client(shared_app.websocket) as other:
        await other.connect(shared_app.token("alice"))
        assert await over_json(other, row, row.data) in ((3501, ""), (1007, ""))
    assert "error" not in await alice.rpc("conversation.list")


COMMANDS = {
    "P3-an-unknown-command": (b'"dance":{}', 104),
    "P3-no-command": (b'"x":1', 104),
    "P3-an-unknown-method": (b'"rpc":{"method":"no.such"}', 108),
    "P3-no-method": (b'"rpc":{}', 108),
    "P3-a-method-that-is-a-number": (b'"rpc":{"method":7}', 107),
    "P3-a-method-that-is-an-operator": (b'"rpc":{"method":{"$ne":""}}', 107),
    "P3-a-method-of-python": (b'"rpc":{"method":"__init__"}', 108),
    "P3-a-method-of-a-megabyte": (b'"rpc":{"method":"' + b"m" * 500_000 + b'"}', 108),
    "P3-a-list-for-a-command": (b'"rpc":[]', 107),
}


@pytest.mark.parametrize(("command", "code"), [pytest.param(*row, id=name) for name, row in COMMANDS.items()])
async def test_a_command_that_there_is_not_is_an_error_and_the_connection_lives(
    alice: WireClient, command: bytes, code: int
) -> None:
    command_id = next(IDS)
    await alice.socket.send_frame(b'{"id":%d,%s}' % (command_id, command), aiohttp.WSMsgType.TEXT)
    await alice.until(lambda: command_id in alice.replies or alice.close_code is not None)
    assert alice.close_code is None
    error = alice.replies[command_id]["error"]
    assert error["code"] == code, error
    assert len(error["message"]) < 300
    assert "error" not in await alice.rpc("conversation.list")
