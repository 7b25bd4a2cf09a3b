"""What a push comes to: the other environment, the age of provider tokens, whose fault a topic is, checking a key."""

import asyncio
import dataclasses

import pytest

from chat.push.apns import App, InvalidKey, Key
from chat.push.lab.apns_faults import Answer
from chat.push.sending import (
    Accepted,
    AddressGone,
    CredentialsAtFault,
    Later,
    Rejected,
    TooLarge,
    Unknown,
)
from support.apns_lab import KEY_ID, QUICK, TEAM, TOPIC, Lab, apns_lab, key_of, notification, pem_pair, push_to

MINUTE_S = 60.0
ONE = dataclasses.replace(QUICK, max_connections=1)


async def _everything_expires(lab: Lab) -> None:
    """As if the vendor's clock was an hour ahead."""
    lab.production.always = Answer(403, "ExpiredProviderToken")


# Devices of the other environment.


async def test_a_token_of_the_other_environment_is_found_there() -> None:
    async with apns_lab() as lab:
        verdict = await lab.sender()(push_to(lab.device("sandbox")))
        assert isinstance(verdict, Accepted)
        assert verdict.environment == "sandbox"
        assert len(lab.sandbox.arrived) == 1
        assert lab.production.ids == lab.sandbox.ids
        # Under one provider token.
        assert lab.production.tokens == lab.sandbox.tokens


async def test_a_lane_of_the_sandbox_looks_in_production() -> None:
    async with apns_lab() as lab:
        verdict = await lab.sender("sandbox")(push_to(lab.device(), "sandbox"))
        assert isinstance(verdict, Accepted)
        assert verdict.environment == "production"


async def test_a_token_that_neither_environment_knows_is_gone() -> None:
    async with apns_lab() as lab:
        assert await lab.sender()(push_to("ab" * 32)) == AddressGone("BadDeviceToken")
        assert (len(lab.production.ids), len(lab.sandbox.ids)) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(503, "ServiceUnavailable", headers=(("retry-after", "9"),)), Later("BadDeviceToken", "device", 9.0)),
        (Answer(429, "TooManyRequests"), Later("BadDeviceToken", "device", 60.0)),
        (Answer(403, "BadEnvironmentKeyIdInToken"), Rejected("BadDeviceToken")),
        (Answer(410, "Unregistered", 77), AddressGone("Unregistered", 77)),
    ],
)
async def test_a_token_is_not_gone_while_the_other_environment_cannot_say_so(
    answer: Answer, verdict: Later | Rejected | AddressGone
) -> None:
    async with apns_lab() as lab:
        lab.sandbox.script(answer)
        assert await lab.sender()(push_to("ab" * 32)) == verdict


async def test_swapped_environments_lose_no_token() -> None:
    async with apns_lab() as lab:
        send = lab.sender()
        verdicts = await asyncio.gather(*(send(push_to(lab.device("sandbox"))) for _ in range(50)))
        assert all(isinstance(one, Accepted) and one.environment == "sandbox" for one in verdicts)


async def test_a_key_for_one_environment_says_so() -> None:
    async with apns_lab() as lab:
        lab.registry.add_key(TEAM, "SANDBOX001", pem_pair("sandbox")[1], environment="sandbox")
        send = lab.sender(key=key_of(key_id="SANDBOX001", name="sandbox"))
        assert await send(push_to(lab.device())) == CredentialsAtFault("BadEnvironmentKeyIdInToken")


@pytest.mark.parametrize("token", ["", "not hex", "../../x", "é" * 20, "ab" * 5000, "a b\r\nc: d"])
async def test_what_is_no_token_stays_in_its_place(token: str) -> None:
    async with apns_lab() as lab:
        verdict = await lab.sender()(push_to(token))
        assert isinstance(verdict, AddressGone | Rejected | Unknown), verdict
        assert isinstance(await lab.sender()(push_to(lab.device())), Accepted)


# Provider tokens.


async def test_a_token_that_expired_is_replaced_and_the_push_sent_on_another_connection() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(Answer(403, "ExpiredProviderToken"))
        lab.clock.now_s += 25 * MINUTE_S
        assert isinstance(await send(push_to(token)), Accepted)
        assert len(lab.production.tokens) == 2
        assert lab.production.connections_opened == 2


async def test_a_wedged_connection_costs_a_crowd_one_new_token_and_no_push() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        # The emulator's rule: after it a connection answers nothing else any more.
        lab.production.connections[0].session.wedged = True
        lab.clock.now_s += 25 * MINUTE_S
        verdicts = await asyncio.gather(*(send(push_to(token)) for _ in range(40)))
        assert all(isinstance(one, Accepted) for one in verdicts)
        assert len(lab.production.tokens) == 2
        assert lab.production.connections_opened == 2


async def test_a_young_token_is_not_replaced_whatever_they_say() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        await _everything_expires(lab)
        lab.clock.now_s += 5 * MINUTE_S
        verdict = await send(push_to(token))
        assert isinstance(verdict, Later)
        assert (verdict.reason, verdict.scope) == ("ExpiredProviderToken", "lane")
        assert verdict.after_s == pytest.approx(15 * MINUTE_S, abs=5)
        assert len(lab.production.tokens) == 1


async def test_an_old_token_is_replaced_once_and_not_again() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        await _everything_expires(lab)
        lab.clock.now_s += 25 * MINUTE_S
        verdict = await send(push_to(token))
        assert isinstance(verdict, Later)
        assert verdict.reason == "ExpiredProviderToken"
        assert len(lab.production.tokens) == 2
        assert sum(lab.production.answers.values()) == 3


async def test_a_clock_that_is_wrong_does_not_hammer_with_connections() -> None:
    async with apns_lab(dataclasses.replace(QUICK, reconnect_s=60, max_reconnect_s=60)) as lab:
        send, token = lab.sender(), lab.device()
        await _everything_expires(lab)
        verdicts = [await send(push_to(token)) for _ in range(20)]
        assert verdicts[0].__class__ is Later
        assert {one.reason for one in verdicts if isinstance(one, Later)} == {"ExpiredProviderToken", "unreachable"}
        assert lab.production.connections_opened <= 2


async def test_too_many_updates_keep_the_token_and_cost_the_connection() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(Answer(429, "TooManyProviderTokenUpdates"))
        lab.clock.now_s += 30 * MINUTE_S
        assert await send(push_to(token)) == Later("TooManyProviderTokenUpdates", "lane", 60.0)
        assert isinstance(await send(push_to(token)), Accepted)
        assert len(lab.production.tokens) == 1
        assert lab.production.connections_opened == 2


async def test_a_day_of_pushes_never_breaks_the_rules_about_tokens() -> None:
    async with apns_lab(per_host=True) as lab:
        send, token = lab.sender(), lab.device()
        for _ in range(24 * 6):
            lab.clock.now_s += 10 * MINUTE_S
            assert isinstance(await send(push_to(token)), Accepted)
        assert 28 <= len(lab.production.tokens) <= 36
        assert lab.production.connections_opened == 1


async def test_apps_of_one_key_share_its_token_and_its_connection() -> None:
    async with apns_lab(ONE) as lab:
        chat, other = lab.sender(), lab.sender(topic="org.example.other")
        assert isinstance(await chat(push_to(lab.device())), Accepted)
        assert isinstance(await other(push_to(lab.device(topic="org.example.other"))), Accepted)
        assert len(lab.production.tokens) == 1
        assert lab.production.connections_opened == 1


async def test_teams_share_no_connection() -> None:
    async with apns_lab() as lab:
        lab.registry.add_key("TEAM000002", "KEY0000002", pem_pair("two")[1], topics=["org.example.two"])
        two = lab.sender(topic="org.example.two", key=key_of("TEAM000002", "KEY0000002", "two"))
        assert isinstance(await lab.sender()(push_to(lab.device())), Accepted)
        assert isinstance(await two(push_to(lab.device(topic="org.example.two"))), Accepted)
        assert lab.production.connections_opened == 2


async def test_a_key_that_is_none_is_refused_before_anything_is_sent() -> None:
    async with apns_lab() as lab:
        with pytest.raises(InvalidKey):
            lab.apns.sender(App(Key(TEAM, KEY_ID, "none"), TOPIC))


async def test_a_foreign_key_is_at_fault() -> None:
    async with apns_lab() as lab:
        send = lab.sender(key=key_of(name="another"))
        assert await send(push_to(lab.device())) == CredentialsAtFault("InvalidProviderToken")


# Topics.


async def test_a_wrong_bundle_id_condemns_no_device() -> None:
    async with apns_lab() as lab:
        send = lab.sender(topic="org.example.other")
        devices = [lab.device() for _ in range(20)]
        verdicts = [await send(push_to(one)) for one in devices]
        assert not any(isinstance(one, AddressGone) for one in verdicts)
        assert verdicts[:2] == [Later("DeviceTokenNotForTopic", "device", 60.0)] * 2
        assert verdicts[2] == CredentialsAtFault("DeviceTokenNotForTopic")


async def test_a_device_with_another_app_is_gone_once_others_were_accepted() -> None:
    async with apns_lab() as lab:
        send = lab.sender()
        stray = lab.device(topic="org.example.other")
        assert await send(push_to(stray)) == Later("DeviceTokenNotForTopic", "device", 60.0)
        assert isinstance(await send(push_to(lab.device())), Accepted)
        assert await send(push_to(stray)) == AddressGone("DeviceTokenNotForTopic")


async def test_one_stray_device_that_is_tried_again_does_not_stop_the_lane() -> None:
    async with apns_lab() as lab:
        send, stray = lab.sender(), lab.device(topic="org.example.other")
        verdicts = [await send(push_to(stray)) for _ in range(6)]
        assert verdicts == [Later("DeviceTokenNotForTopic", "device", 60.0)] * 6


# The check, and what is sent.


async def test_the_check_of_a_good_key_passes_and_reaches_nobody() -> None:
    async with apns_lab() as lab:
        assert await lab.apns.sender(App(key_of(), TOPIC)).check() == Accepted()
        assert not lab.production.arrived
        assert not lab.sandbox.ids


@pytest.mark.parametrize(
    ("app", "verdict"),
    [
        (App(key_of(name="another"), TOPIC), CredentialsAtFault("InvalidProviderToken")),
        (App(key_of(team="TEAM000009"), TOPIC), CredentialsAtFault("InvalidProviderToken")),
        (App(key_of(), "org.example.unknown"), CredentialsAtFault("TopicDisallowed")),
        (App(key_of(), "no topic"), CredentialsAtFault("BadTopic")),
    ],
)
async def test_the_check_of_a_bad_one_says_why(app: App, verdict: CredentialsAtFault) -> None:
    async with apns_lab() as lab:
        assert await lab.apns.sender(app).check() == verdict


async def test_a_second_attempt_carries_the_same_ids() -> None:
    async with apns_lab() as lab:
        send, token = lab.sender(), lab.device()
        push = push_to(token)
        await send(push)
        await send(dataclasses.replace(push, attempt=2))
        first, second = lab.production.arrived
        assert first.headers == second.headers
        assert first.payload == second.payload


async def test_what_cannot_fit_is_not_sent() -> None:
    async with apns_lab() as lab:
        verdict = await lab.sender()(push_to(lab.device(), link="https://example.org/" + "x" * 5000))
        assert verdict == TooLarge("PayloadTooLarge")
        assert not lab.production.ids


async def test_no_secret_is_in_any_repr_or_log(capsys: pytest.CaptureFixture[str]) -> None:
    async with apns_lab() as lab:
        token = lab.device()
        sender = lab.apns.sender(App(key_of(), TOPIC))
        push = push_to(token, "production", body="a secret text")
        lab.production.script(Answer(503, "Shutdown"))
        lab.sandbox.script(Answer(403, "Forbidden"))
        texts = [repr(await sender.send(push)), repr(sender), repr(push.address), repr(lab.apns.state)]
    bearers = lab.production.tokens
    out = "".join(capsys.readouterr()) + "".join(texts)
    assert token not in out
    assert "a secret text" not in out
    assert not any(bearer.removeprefix("bearer ") in out for bearer in bearers)
    assert notification().job_id not in out
