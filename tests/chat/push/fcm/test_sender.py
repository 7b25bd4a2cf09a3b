"""The sender against the emulator: what it makes of each fault, over real connections."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import orjson
import pytest
from aiohttp import web

from chat.push.fcm import BadServiceAccount, FcmSender, FcmSettings, open_fcm, parse_service_account
from chat.push.lab import fcm_answers as answers
from chat.push.lab.fcm import Bucket, Fault, FcmLab
from chat.push.sending import (
    Accepted,
    AddressGone,
    CredentialsAtFault,
    Later,
    Rejected,
    TooLarge,
    Unknown,
)
from support.push_words import Clock, account_key, address, notification, push
from support.waiting import eventually

QUICK = FcmSettings(plain_http=True, deadline_s=0.5, token_deadline_s=0.3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monotonic() -> Clock:
    return Clock(50.0)


@pytest.fixture
async def lab(clock: Clock, monotonic: Clock) -> AsyncIterator[FcmLab]:
    async with FcmLab(clock=clock, monotonic=monotonic, key=account_key()) as lab:
        yield lab


Opened = Callable[..., AbstractAsyncContextManager[FcmSender]]


@pytest.fixture
def opened(lab: FcmLab, clock: Clock, monotonic: Clock) -> Opened:
    def open_one(settings: FcmSettings | None = None, **changed: Any) -> AbstractAsyncContextManager[FcmSender]:
        settings = replace(settings or FcmSettings(plain_http=True), endpoint=lab.url)
        account = orjson.dumps({**orjson.loads(lab.service_account), **changed})
        read = parse_service_account(account, plain_http=True)
        return open_fcm(read, clock=clock, monotonic=monotonic, settings=settings)

    return open_one


@pytest.fixture
async def sender(opened: Opened) -> AsyncIterator[FcmSender]:
    async with opened() as sender:
        yield sender


@pytest.fixture
async def quick(opened: Opened) -> AsyncIterator[FcmSender]:
    """Soon gives up."""
    async with opened(QUICK) as sender:
        yield sender


@pytest.mark.parametrize("kind", ["token", "fid"])
async def test_a_push_is_taken(lab: FcmLab, sender: FcmSender, kind: Any) -> None:
    to = lab.register(kind)
    verdict = await sender.send(push(address(to, kind=kind)))
    assert isinstance(verdict, Accepted)
    assert verdict.provider_id.startswith("projects/hubbub-lab/messages/0:")
    assert [message["data"]["body"] for message in lab.accepted] == ["Tea at five?"]


async def test_one_access_token_serves_for_many_pushes_at_once(lab: FcmLab, sender: FcmSender) -> None:
    to = address(lab.register())
    verdicts = await asyncio.gather(*(sender.send(push(to)) for _ in range(50)))
    assert all(isinstance(verdict, Accepted) for verdict in verdicts)
    assert (lab.counts.tokens, lab.counts.requests) == (1, 50)


async def test_before_it_ends_a_token_is_replaced_and_nobody_waits(
    lab: FcmLab, sender: FcmSender, monotonic: Clock
) -> None:
    to = address(lab.register())
    await sender.send(push(to))
    monotonic.pass_s(3599.0 - 239.0)
    lab.fail_token(Fault(hang=True))
    assert isinstance(await sender.send(push(to)), Accepted)
    await eventually(lambda: lab.counts.tokens == 2)
    assert isinstance(await sender.send(push(to)), Accepted)
    assert lab.counts.tokens == 2


async def test_the_replacement_is_what_serves_then(lab: FcmLab, sender: FcmSender, monotonic: Clock) -> None:
    to = address(lab.register())
    await sender.send(push(to))
    monotonic.pass_s(3599.0 - 100.0)
    await sender.send(push(to))
    await eventually(lambda: lab.counts.tokens == 2)
    monotonic.pass_s(200.0)
    assert isinstance(await sender.send(push(to)), Accepted)
    assert lab.counts.tokens == 2


async def test_an_ended_token_is_never_used(lab: FcmLab, sender: FcmSender, monotonic: Clock) -> None:
    to = address(lab.register())
    await sender.send(push(to))
    monotonic.pass_s(4000.0)
    assert isinstance(await sender.send(push(to)), Accepted)
    assert lab.counts.answered == {200: 2}


async def test_tokens_that_last_seconds_are_enough(lab: FcmLab, sender: FcmSender, monotonic: Clock) -> None:
    lab.token_lifetime_s = 5.0
    to = address(lab.register())
    for _ in range(5):
        assert isinstance(await sender.send(push(to)), Accepted)
        monotonic.pass_s(5.1)
    assert lab.counts.tokens == 5


async def test_a_token_that_is_revoked_is_replaced_once_and_the_push_passes(lab: FcmLab, sender: FcmSender) -> None:
    to = address(lab.register())
    await sender.send(push(to))
    lab.revoke_tokens()
    verdicts = await asyncio.gather(*(sender.send(push(to)) for _ in range(20)))
    assert all(isinstance(verdict, Accepted) for verdict in verdicts)
    assert lab.counts.tokens == 2


async def test_a_token_that_is_always_refused_is_asked_for_twice_and_then_the_credentials_are_at_fault(
    lab: FcmLab, sender: FcmSender
) -> None:
    to = address(lab.register())
    lab.fail(Fault(answers.unauthenticated), 2)
    assert await sender.send(push(to)) == CredentialsAtFault("UNAUTHENTICATED")
    assert (lab.counts.tokens, lab.counts.requests) == (2, 2)
    assert isinstance(await sender.send(push(to)), Accepted)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"client_email": "somebody@else.example"}, "oauth: invalid_grant"),
        ({"private_key_id": "another"}, "oauth: invalid_grant"),
    ],
)
async def test_an_account_that_is_not_known_gets_no_token(
    lab: FcmLab, opened: Opened, changed: dict[str, str], reason: str
) -> None:
    async with opened(**changed) as sender:
        assert await sender.send(push(address(lab.register()))) == CredentialsAtFault(reason)
        assert await sender.check() == CredentialsAtFault(reason)
    assert lab.counts.requests == 0


async def test_another_key_gets_no_token(lab: FcmLab, opened: Opened, clock: Clock, monotonic: Clock) -> None:
    other = orjson.loads(FcmLab(clock=clock, monotonic=monotonic).service_account)
    async with opened(private_key=other["private_key"]) as sender:
        assert await sender.check() == CredentialsAtFault("oauth: invalid_grant")


@pytest.mark.parametrize(
    "settings", [FcmSettings(plain_http=True, scope="other"), FcmSettings(plain_http=True, assertion_s=3601)]
)
async def test_the_emulator_looks_at_what_is_asserted(opened: Opened, settings: FcmSettings) -> None:
    async with opened(settings) as sender:
        assert isinstance(await sender.check(), CredentialsAtFault)


async def test_a_clock_that_is_off_by_hours_is_told_by_the_credentials(lab: FcmLab, clock: Clock) -> None:
    account = parse_service_account(lab.service_account, plain_http=True)
    late = Clock(clock.now_s + 7200)
    settings = FcmSettings(endpoint=lab.url, plain_http=True)
    async with open_fcm(account, clock=late, monotonic=late, settings=settings) as sender:
        assert await sender.check() == CredentialsAtFault("oauth: invalid_grant")


async def test_after_a_failure_everybody_gets_the_same_answer_for_a_while(
    lab: FcmLab, sender: FcmSender, monotonic: Clock
) -> None:
    to = address(lab.register())
    lab.fail_token(Fault(lambda: answers.html(502, {"Retry-After": "7"})))
    verdicts = await asyncio.gather(*(sender.send(push(to)) for _ in range(10)))
    assert set(verdicts) == {Later("oauth: http_502", "lane", 7.0)}
    assert await sender.send(push(to)) == verdicts[0]
    assert (lab.counts.tokens, lab.counts.requests) == (1, 0)
    monotonic.pass_s(1.1)
    assert isinstance(await sender.send(push(to)), Accepted)


async def test_a_token_that_does_not_come_is_not_waited_for(lab: FcmLab, quick: FcmSender) -> None:
    lab.fail_token(Fault(hang=True))
    assert await quick.send(push(address(lab.register()))) == Later("oauth: no answer in time", "lane")


async def test_an_app_that_was_removed_is_gone(lab: FcmLab, sender: FcmSender) -> None:
    to = lab.register()
    lab.unregister(to)
    assert await sender.send(push(address(to))) == AddressGone("UNREGISTERED")


@pytest.mark.parametrize(("before", "after"), [("token", "fid"), ("fid", "token")])
async def test_an_installation_has_one_address_of_either_kind(
    lab: FcmLab, sender: FcmSender, before: Any, after: Any
) -> None:
    old = lab.register(before)
    new = lab.reregister(old, after)
    assert await sender.send(push(address(old, kind=before))) == AddressGone("UNREGISTERED")
    assert isinstance(await sender.send(push(address(new, kind=after))), Accepted)


async def test_what_is_no_token_is_gone_after_a_second_look(lab: FcmLab, sender: FcmSender) -> None:
    assert await sender.send(push(address("nonsense"))) == AddressGone("INVALID_ARGUMENT")
    assert lab.counts.requests == 2


async def test_a_message_that_is_refused_without_a_field_costs_no_address(lab: FcmLab, sender: FcmSender) -> None:
    too_big = answers.error(400, "INVALID_ARGUMENT", "Android message is too big", code="INVALID_ARGUMENT").body
    lab.fail(Fault(lambda: web.Response(status=400, body=too_big, content_type="application/json")))
    verdict = await sender.send(push(address(lab.register())))
    assert verdict == Rejected("INVALID_ARGUMENT: not the address")
    assert lab.counts.validated == 1
    assert not lab.accepted


async def test_a_doubt_that_cannot_be_settled_now_is_settled_later(lab: FcmLab, quick: FcmSender) -> None:
    to = address(lab.register())
    lab.fail(Fault(answers.invalid_token))
    lab.fail(Fault(hang=True))
    verdict = await quick.send(push(to))
    assert verdict in (Later("INVALID_ARGUMENT", "device"), Unknown("no answer in time"))
    lab.mend()
    assert isinstance(await quick.send(push(to)), Accepted)


async def test_a_token_that_is_said_to_be_wrong_is_gone_at_once(lab: FcmLab, sender: FcmSender) -> None:
    lab.fail(Fault(answers.invalid_token_field))
    assert await sender.send(push(address(lab.register()))) == AddressGone("INVALID_ARGUMENT")
    assert lab.counts.requests == 1


async def test_a_token_of_another_project_is_gone(lab: FcmLab, sender: FcmSender) -> None:
    to = lab.register(project="another")
    assert await sender.send(push(address(to))) == AddressGone("SENDER_ID_MISMATCH")


async def test_bad_keys_for_apns_concern_iphones_alone(lab: FcmLab, sender: FcmSender) -> None:
    iphone, android = lab.register(apple=True), lab.register()
    lab.apple_keys = False
    assert await sender.send(push(address(iphone))) == Later("THIRD_PARTY_AUTH_ERROR", "device", 600.0)
    assert isinstance(await sender.send(push(address(android))), Accepted)


async def test_an_api_that_is_not_enabled_is_a_fault_of_the_set_up(lab: FcmLab, sender: FcmSender) -> None:
    lab.enabled = False
    assert await sender.send(push(address(lab.register()))) == CredentialsAtFault("PERMISSION_DENIED")
    assert await sender.check() == CredentialsAtFault("PERMISSION_DENIED")


async def test_a_project_that_there_is_not_is_a_fault_of_the_set_up(lab: FcmLab, opened: Opened) -> None:
    async with opened(project_id="another") as sender:
        assert await sender.send(push(address(lab.register()))) == CredentialsAtFault("NOT_FOUND")


async def test_404_of_another_place_costs_no_address(lab: FcmLab, opened: Opened) -> None:
    async with opened(FcmSettings(plain_http=True)) as sender:
        lab.fail(Fault(lambda: answers.html(404)))
        assert await sender.send(push(address(lab.register()))) == CredentialsAtFault("http_404")


async def test_html_from_the_servers_in_front_says_nothing_of_the_push(lab: FcmLab, sender: FcmSender) -> None:
    lab.fail(Fault(answers.html))
    to = address(lab.register())
    assert await sender.send(push(to)) == Unknown("http_502")
    assert isinstance(await sender.send(push(to)), Accepted)


async def test_retry_after_is_heard_in_seconds_and_as_a_date(lab: FcmLab, sender: FcmSender, clock: Clock) -> None:
    to = address(lab.register())
    date = formatdate(clock.now_s + 120, usegmt=True)
    lab.fail(Fault(lambda: answers.unavailable("33")))
    lab.fail(Fault(lambda: answers.quota_exceeded(date)))
    assert await sender.send(push(to)) == Later("UNAVAILABLE", "lane", 33.0)
    assert await sender.send(push(to)) == Later("QUOTA_EXCEEDED", "lane", 120.0)


async def test_a_quota_that_is_spent_slows_the_lane_until_there_is_more(
    lab: FcmLab, sender: FcmSender, monotonic: Clock
) -> None:
    to = address(lab.register())
    lab.quota = Bucket(left=3, refill_per_s=1.0)
    verdicts = [await sender.send(push(to)) for _ in range(4)]
    assert verdicts[3] == Later("QUOTA_EXCEEDED", "lane", 60.0)
    monotonic.pass_s(1.0)
    assert isinstance(await sender.send(push(to)), Accepted)


@pytest.mark.parametrize("after_bytes", [0, 10])
async def test_an_answer_that_breaks_off_is_unknown(lab: FcmLab, sender: FcmSender, after_bytes: int) -> None:
    lab.fail(Fault(reset_after_bytes=after_bytes))
    to = address(lab.register())
    assert isinstance(await sender.send(push(to)), Unknown)
    assert len(lab.accepted) == 1
    assert isinstance(await sender.send(push(to)), Accepted)
    jobs = [message["data"]["job_id"] for message in lab.accepted]
    assert jobs == ["job-1", "job-1"]


@pytest.mark.parametrize("taken", [True, False])
async def test_no_answer_is_unknown_in_time(lab: FcmLab, quick: FcmSender, taken: bool) -> None:
    to = address(lab.register())
    await quick.send(push(to))
    lab.fail(Fault(hang=True, taken=taken))
    begun_s = time.monotonic()
    assert await quick.send(push(to)) == Unknown("no answer in time")
    assert time.monotonic() - begun_s < 10
    assert len(lab.accepted) == 1 + taken
    assert isinstance(await quick.send(push(to)), Accepted)


async def test_hundreds_of_pushes_and_errors_keep_to_a_few_connections(lab: FcmLab, opened: Opened) -> None:
    async with opened(FcmSettings(plain_http=True, max_connections=4)) as sender:
        fine, gone = lab.register(), lab.register()
        lab.unregister(gone)

        async def some(number: int) -> None:
            for count in range(100):
                to = gone if count % 2 else fine
                verdict = await sender.send(push(address(to)))
                assert isinstance(verdict, AddressGone if count % 2 else Accepted), (number, count)

        await asyncio.gather(*(some(number) for number in range(8)))
    assert lab.counts.answered == {200: 400, 404: 400}
    assert len(lab.counts.peers) <= 4


async def test_one_that_hangs_holds_up_no_other(lab: FcmLab, sender: FcmSender) -> None:
    to = address(lab.register())
    await sender.send(push(to))
    lab.fail(Fault(hang=True), 5)
    hanging = [asyncio.create_task(sender.send(push(to))) for _ in range(5)]
    await eventually(lambda: lab.counts.requests == 6)
    assert isinstance(await sender.send(push(to)), Accepted)
    assert not any(task.done() for task in hanging)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_when_all_connections_are_taken_nothing_was_sent(lab: FcmLab, opened: Opened) -> None:
    settings = FcmSettings(plain_http=True, max_connections=1, connect_s=0.2)
    async with opened(settings) as sender:
        to = address(lab.register())
        await sender.send(push(to))
        lab.fail(Fault(hang=True))
        hanging = asyncio.create_task(sender.send(push(to)))
        await eventually(lambda: lab.counts.requests == 2)
        assert await sender.send(push(to)) == Later("cannot be reached", "lane")
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)


async def test_nobody_there_is_later_since_nothing_was_sent(lab: FcmLab, opened: Opened) -> None:
    async with opened() as sender:
        to = address(lab.register())
        await sender.send(push(to))
        await lab.__aexit__(None, None, None)
        verdict = await sender.send(push(to))
        # The connection that was open may be found closed only when something was written to it.
        assert verdict == Later("cannot be reached", "lane") or isinstance(verdict, Unknown)
        assert await sender.send(push(to)) == Later("cannot be reached", "lane")


async def test_an_answer_that_never_ends_is_not_read_to_its_end(lab: FcmLab, sender: FcmSender) -> None:
    lab.fail(Fault(lambda: web.Response(status=503, body=b"<p>" * 1_000_000)))
    assert await sender.send(push(address(lab.register()))) == Unknown("http_503")


async def test_a_redirect_is_not_followed(lab: FcmLab, sender: FcmSender) -> None:
    headers = {"Location": f"{lab.url}/v1/projects/{lab.project}/messages:send"}
    lab.fail(Fault(lambda: web.Response(status=307, headers=headers)))
    assert await sender.send(push(address(lab.register()))) == Later("http_307", "device")
    assert lab.counts.requests == 1


async def test_what_does_not_fit_is_not_even_sent(lab: FcmLab, sender: FcmSender) -> None:
    too_much = notification(collapse_id="c" * 5000)
    assert await sender.send(push(address(lab.register()), too_much)) == TooLarge("does not fit")
    assert lab.counts.requests == 0


async def test_good_credentials_are_found_good_and_nothing_is_delivered(lab: FcmLab, sender: FcmSender) -> None:
    assert await sender.check() == Accepted()
    assert not lab.accepted


async def test_whoever_does_not_answer_a_check_leaves_it_open(lab: FcmLab, quick: FcmSender) -> None:
    lab.fail(Fault(hang=True))
    assert await quick.check() == Unknown("no answer in time")


async def test_a_sender_that_ends_while_a_token_is_fetched_ends(lab: FcmLab, opened: Opened) -> None:
    lab.fail_token(Fault(hang=True))
    async with opened() as sender:
        sending = asyncio.create_task(sender.send(push(address(lab.register()))))
        await eventually(lambda: lab.counts.tokens == 1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "fcm-oauth"] == []


async def test_an_endpoint_without_tls_is_refused(lab: FcmLab, clock: Clock) -> None:
    account = parse_service_account(lab.service_account, plain_http=True)
    with pytest.raises(ValueError, match="https"):
        async with open_fcm(account, clock=clock, monotonic=clock, settings=FcmSettings(endpoint=lab.url)):
            pass


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"type": "authorized_user"}, "type"),
        ({"token_uri": "http://169.254.169.254/"}, "token_uri"),
        ({"project_id": "../../other"}, "project_id"),
        ({"private_key": "secret nonsense"}, "private_key"),
        ({"private_key": 5}, "private_key"),
        ({"client_email": None}, "client_email"),
    ],
)
async def test_a_file_that_is_no_service_account_is_told_by_its_field(
    lab: FcmLab, changed: dict[str, Any], told: str
) -> None:
    file = {**orjson.loads(lab.service_account), "token_uri": "https://oauth2.googleapis.com/token", **changed}
    with pytest.raises(BadServiceAccount, match=told) as caught:
        parse_service_account(orjson.dumps(file))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe"])
def test_what_is_no_json_is_no_service_account(text: str | bytes) -> None:
    with pytest.raises(BadServiceAccount):
        parse_service_account(text)


async def test_nothing_secret_is_in_what_is_printed(lab: FcmLab) -> None:
    account = parse_service_account(lab.service_account, plain_http=True)
    assert "PRIVATE" not in repr(account)
    assert "key=" not in repr(account)
