"""What can go wrong on a connection to APNs, one test each, over real TLS and HTTP/2."""

import asyncio
import dataclasses

import pytest

from chat.push.apns import ApnsSettings, App, ConnectionSettings, Place, PoolState, open_apns, tls
from chat.push.lab.apns import HOST, open_apns_emulator
from chat.push.lab.apns_faults import Answer, Cut, Hold, Leave, NeverAnswer, Pieces, Reset
from chat.push.lab.apns_tls import ThrowAwayAuthority
from chat.push.sending import Accepted, AddressGone, Environment, Later, Unknown
from support.apns_lab import KEY_ID, NOW_S, QUICK, TEAM, TOPIC, Lab, apns_lab, authority, key_of, push_to
from support.waiting import eventually

ONE = dataclasses.replace(QUICK, max_connections=1)
HASTY = dataclasses.replace(ONE, deadline_s=0.3)


def pool_of(lab: Lab) -> PoolState:
    """The client's connections to production, as it sees them."""
    return lab.apns.state["production", TEAM, KEY_ID]


async def test_thousands_of_pushes_and_errors_pass_over_one_connection() -> None:
    # 54 bytes each: a client that gives no credit back stops at the 1,214th of them.
    async with apns_lab(ONE) as lab:
        send = lab.sender()
        good, gone = lab.device(), lab.gone(int(NOW_S * 1000))
        verdicts = []
        for _ in range(20):
            verdicts += await asyncio.gather(*(send(push_to(one)) for one in [good, gone, gone, gone] * 25))
        assert len(verdicts) == 2000
        assert sum(isinstance(one, Accepted) for one in verdicts) == 500
        assert sum(one == AddressGone("Unregistered", int(NOW_S * 1000)) for one in verdicts) == 1500
        assert lab.production.connections_opened == 1
        assert len(lab.production.tokens) == 1


async def test_the_first_request_goes_alone_until_the_server_allows_more() -> None:
    async with apns_lab(ONE) as lab:
        lab.production.script(Hold())
        send, token = lab.sender(), lab.device()
        sends = [asyncio.create_task(send(push_to(token))) for _ in range(20)]
        await eventually(lambda: lab.production.held == 1)
        assert lab.production.in_flight == 1
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends))


async def test_a_limit_that_sinks_below_what_is_in_flight_is_kept_to() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        assert isinstance(await send(push_to(token)), Accepted)
        lab.production.always = Hold()
        first = [asyncio.create_task(send(push_to(token))) for _ in range(50)]
        await eventually(lambda: lab.production.held == 50)
        lab.production.allow_streams(3)
        await eventually(lambda: lab.production.settled)
        second = [asyncio.create_task(send(push_to(token))) for _ in range(20)]
        await eventually(lambda: pool_of(lab).waiting == 20)
        assert lab.production.held == 50
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*first))
        await eventually(lambda: lab.production.held == 3)
        lab.production.allow_streams(100)
        await eventually(lambda: lab.production.held == 20)
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*second))
        assert lab.production.connections_opened == 1


async def test_a_limit_of_none_holds_everything_until_it_is_lifted() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.allow_streams(0)
        await eventually(lambda: lab.production.settled)
        sends = [asyncio.create_task(send(push_to(token))) for _ in range(5)]
        await eventually(lambda: pool_of(lab).waiting == 5)
        assert lab.production.in_flight == 0
        lab.production.allow_streams(100)
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends))


async def test_who_waits_for_a_stream_until_the_deadline_was_never_sent() -> None:
    async with apns_lab(HASTY) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.allow_streams(0)
        await eventually(lambda: lab.production.settled)
        assert await send(push_to(token)) == Later("no_stream", "lane")
        lab.production.allow_streams(100)
        await eventually(lambda: lab.production.settled)
        assert isinstance(await send(push_to(token)), Accepted)
        assert len(lab.production.arrived) == 2


async def test_waiting_is_bounded() -> None:
    async with apns_lab(dataclasses.replace(ONE, max_waiting=10)) as lab:
        send, token = lab.sender(), lab.device()
        verdicts = await asyncio.gather(*(send(push_to(token)) for _ in range(15)))
        assert verdicts[10:] == [Later("busy", "lane")] * 5
        assert all(isinstance(one, Accepted) for one in verdicts[:10])


async def test_a_goaway_is_safe_above_its_last_stream_and_the_others_are_answered() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(Hold(), Hold(), Leave(covers=True))
        sends = [asyncio.create_task(send(push_to(token))) for _ in range(5)]
        *covered, fourth, fifth = sends
        assert await fourth == Later("goaway", "lane", 0.0)
        assert await fifth == Later("goaway", "lane", 0.0)
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*covered))
        await eventually(lambda: not lab.production.connections)
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 2


async def test_a_goaway_without_answers_leaves_what_it_covers_unknown() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(NeverAnswer(), Leave(covers=True, close=True))
        verdicts = await asyncio.gather(*(send(push_to(token)) for _ in range(3)))
        assert verdicts == [Unknown("connection_lost"), Unknown("connection_lost"), Later("goaway", "lane", 0.0)]
        assert isinstance(await send(push_to(token)), Accepted)


async def test_who_waits_during_a_goaway_goes_over_the_next_connection() -> None:
    async with apns_lab(dataclasses.replace(ONE, max_streams=2)) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(Hold(), Hold())
        sends = [asyncio.create_task(send(push_to(token))) for _ in range(10)]
        await eventually(lambda: lab.production.held == 2)
        lab.production.go_away(code=0, debug=b'{"reason":"Shutdown"}')
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends[2:]))
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends))
        assert lab.production.connections_opened == 2


async def test_a_refused_stream_is_safe_to_try_again() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        lab.production.script(None, Reset(7))
        await send(push_to(token))
        assert await send(push_to(token)) == Later("refused_stream", "lane", 0.0)
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 1


@pytest.mark.parametrize(("code", "reason"), [(2, "reset_internal_error"), (8, "reset_cancel"), (99, "reset_unknown")])
async def test_any_other_reset_leaves_it_unknown_and_the_connection_good(code: int, reason: str) -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        lab.production.script(None, *[Reset(code)] * 200)
        await send(push_to(token))
        verdicts = await asyncio.gather(*(send(push_to(token)) for _ in range(200)))
        assert set(verdicts) == {Unknown(reason)}
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 1


async def test_a_reset_after_the_status_is_an_answer_without_its_reason() -> None:
    async with apns_lab(ONE) as lab:
        lab.production.script(Reset(2, after_headers=True))
        assert await lab.sender()(push_to(lab.device())) == Later("http_500", "lane")


async def test_an_answer_that_never_comes_is_given_up_at_the_deadline() -> None:
    async with apns_lab(HASTY) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(*[NeverAnswer()] * 3)
        verdicts = await asyncio.gather(*(send(push_to(token)) for _ in range(3)))
        assert verdicts == [Unknown("deadline")] * 3
        # The server was told.
        await eventually(lambda: lab.production.in_flight == 0)
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 1


async def test_a_connection_that_misses_every_deadline_is_replaced() -> None:
    async with apns_lab(dataclasses.replace(HASTY, max_missed=3)) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(*[NeverAnswer()] * 3)
        assert await asyncio.gather(*(send(push_to(token)) for _ in range(3))) == [Unknown("deadline")] * 3
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 2


async def test_answers_after_the_deadline_harm_nobody() -> None:
    async with apns_lab(HASTY) as lab:
        send, token, gone = lab.sender(), lab.device(), lab.gone(5)
        await send(push_to(token))
        for _ in range(3):
            lab.production.script(*[Hold()] * 4)
            verdicts = await asyncio.gather(*(send(push_to(one)) for one in [token, gone] * 2))
            assert verdicts == [Unknown("deadline")] * 4
            await eventually(lambda: lab.production.in_flight == 0)
            lab.production.release()
            # Their header blocks count although nobody reads them: the tables of both sides must not part.
            assert await send(push_to(gone)) == AddressGone("Unregistered", 5)
            assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 1


async def test_a_cancelled_push_gives_its_stream_back() -> None:
    async with apns_lab(dataclasses.replace(ONE, max_streams=1)) as lab:
        send, token = lab.sender(), lab.device()
        lab.production.script(None, NeverAnswer())
        await send(push_to(token))
        stuck = asyncio.create_task(send(push_to(token)))
        await eventually(lambda: lab.production.in_flight == 1)
        waiting = asyncio.create_task(send(push_to(token)))
        waiting_too = asyncio.create_task(send(push_to(token)))
        await asyncio.sleep(0)
        stuck.cancel()
        waiting.cancel()
        await asyncio.gather(stuck, waiting, return_exceptions=True)
        assert stuck.cancelled()
        assert waiting.cancelled()
        assert isinstance(await waiting_too, Accepted)
        assert len(lab.production.arrived) == 2


@pytest.mark.parametrize("pieces", [2, 7])
async def test_an_error_may_come_in_many_pieces(pieces: int) -> None:
    async with apns_lab(ONE) as lab:
        send, gone = lab.sender(), lab.gone(11)
        lab.production.always = Pieces(pieces)
        verdicts = await asyncio.gather(*(send(push_to(gone)) for _ in range(50)))
        assert set(verdicts) == {AddressGone("Unregistered", 11)}


async def test_an_endless_error_is_cut_short() -> None:
    async with apns_lab(ONE) as lab:
        send = lab.sender()
        lab.production.script(Answer(500, body=b" " * 40_000, pieces=20))
        assert await send(push_to(lab.device())) == Later("http_500", "lane")
        assert isinstance(await send(push_to(lab.device())), Accepted)


async def test_without_credit_nothing_more_is_begun_and_with_it_all_goes_on() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.withholding = True
        # More than a window of 65,535 bytes.
        sends = [asyncio.create_task(send(push_to(token, body="x" * 3000))) for _ in range(40)]
        await eventually(lambda: len(lab.production.arrived) > 15)
        await eventually(lambda: pool_of(lab).in_flight <= 1)
        assert pool_of(lab).waiting > 0
        begun = len(lab.production.arrived)
        assert begun < 25
        # A window that is smaller than any body must not stop everything, so one is begun.
        assert lab.production.in_flight <= 1
        lab.production.give_windows()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends))
        assert len(lab.production.arrived) == 41


async def test_without_credit_until_the_deadline_it_is_certain_what_was_not_sent() -> None:
    async with apns_lab(HASTY) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.withholding = True
        verdicts = await asyncio.gather(*(send(push_to(token, body="x" * 3000)) for _ in range(40)))
        arrived = len(lab.production.arrived) - 1
        assert sum(isinstance(one, Accepted) for one in verdicts) == arrived
        assert verdicts.count(Later("no_stream", "lane")) + verdicts.count(Later("deadline", "lane")) == 40 - arrived


async def test_a_body_goes_in_parts_through_a_small_window() -> None:
    async with apns_lab(ONE, initial_window=100) as lab:
        send, token = lab.sender(), lab.device()
        verdicts = await asyncio.gather(*(send(push_to(token, body=f"{i} " + "x" * 3000)) for i in range(30)))
        assert all(isinstance(one, Accepted) for one in verdicts)
        assert all(len(one.payload) > 3000 for one in lab.production.arrived)


async def test_an_ignored_ping_ends_the_connection_and_what_is_on_it_is_unknown() -> None:
    async with apns_lab(dataclasses.replace(ONE, ping_every_s=0.1, ping_answer_s=0.1)) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.deafen()
        assert await send(push_to(token)) == Unknown("no_pong")
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 2


async def test_an_answered_ping_keeps_an_idle_connection() -> None:
    async with apns_lab(dataclasses.replace(ONE, ping_every_s=0.02, ping_answer_s=5)) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        await eventually(lambda: lab.production.pings >= 5)
        await send(push_to(token))
        assert lab.production.connections_opened == 1


async def test_a_connection_that_nobody_uses_is_closed_and_made_anew_when_somebody_does() -> None:
    async with apns_lab(dataclasses.replace(ONE, ping_every_s=0.02, ping_answer_s=5, idle_s=0.1)) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        await eventually(lambda: not lab.production.connections)
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 2


@pytest.mark.parametrize("at", ["headers", "request"])
async def test_a_connection_that_drops_leaves_it_unknown(at: str) -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(NeverAnswer(), Cut(at))
        verdicts = await asyncio.gather(*(send(push_to(token)) for _ in range(2)))
        assert verdicts == [Unknown("connection_lost")] * 2
        assert isinstance(await send(push_to(token)), Accepted)


async def test_a_connection_that_drops_after_the_status_has_answered() -> None:
    async with apns_lab(ONE) as lab:
        lab.production.script(Cut("answer"))
        assert isinstance(await lab.sender()(push_to(lab.device())), Accepted)


async def test_answers_out_of_order_find_their_requests() -> None:
    async with apns_lab(ONE) as lab:
        send = lab.sender()
        await send(push_to(lab.device()))
        lab.production.script(*[Hold()] * 60)
        gone = [lab.gone(at) for at in range(60)]
        sends = [asyncio.create_task(send(push_to(one))) for one in gone]
        await eventually(lambda: lab.production.held == 60)
        lab.production.release("last_in")
        assert await asyncio.gather(*sends) == [AddressGone("Unregistered", at) for at in range(60)]


async def test_a_full_connection_gets_company_up_to_the_limit() -> None:
    async with apns_lab(dataclasses.replace(QUICK, max_streams=5, max_connections=3)) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        # A new connection takes one only, until it has answered.
        lab.production.script(*[Hold()] * 5, None, *[Hold()] * 5, None, *[Hold()] * 5)
        sends = [asyncio.create_task(send(push_to(token))) for _ in range(30)]
        await eventually(lambda: lab.production.held == 15)
        assert pool_of(lab) == PoolState(connections=3, in_flight=15, waiting=13, opened=3)
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends))
        assert lab.production.connections_opened == 3
        assert len(lab.production.tokens) == 1


async def test_where_nobody_listens_it_is_told_at_once_and_not_asked_again_and_again() -> None:
    async with apns_lab(ONE) as lab:
        client = tls(authority().client())
        places: dict[Environment, Place] = {
            "production": Place(HOST, lab.production.port, client, "127.0.0.1"),
            "sandbox": Place(HOST, 1, client, "127.0.0.1"),
        }
        patient = ApnsSettings(connection=ConnectionSettings(reconnect_s=60, max_reconnect_s=60))
        async with open_apns(patient, places=places, clock=lab.clock) as apns:
            sandbox = apns.sender(App(key_of(), TOPIC), "sandbox")
            first = await sandbox.send(push_to(lab.device("sandbox"), "sandbox"))
            assert isinstance(first, Later)
            assert (first.reason, first.scope) == ("unreachable", "lane")
            second = await sandbox.send(push_to(lab.device("sandbox"), "sandbox"))
            assert isinstance(second, Later)
            assert second.after_s is not None
            assert 0 < second.after_s <= 60
            # The other environment is not concerned.
            assert isinstance(await apns.sender(App(key_of(), TOPIC)).send(push_to(lab.device())), Accepted)


@pytest.mark.parametrize("protocols", [["http/1.1"], []])
async def test_a_server_without_http2_is_none(protocols: list[str]) -> None:
    async with apns_lab(ONE) as lab:
        other = ThrowAwayAuthority()
        async with open_apns_emulator(lab.registry, tls=other.server(protocols)) as emulator:
            place = Place(HOST, emulator.port, tls(other.client()), "127.0.0.1")
            async with open_apns(places={"production": place, "sandbox": place}) as apns:
                verdict = await apns.sender(App(key_of(), TOPIC)).send(push_to(lab.device()))
        assert isinstance(verdict, Later)
        assert (verdict.reason, verdict.scope) == ("unreachable", "lane")
        assert not emulator.ids


async def test_a_server_that_nobody_vouches_for_gets_nothing() -> None:
    async with apns_lab(ONE) as lab:
        place = Place(HOST, lab.production.port, tls(ThrowAwayAuthority().client()), "127.0.0.1")
        async with open_apns(places={"production": place, "sandbox": place}) as apns:
            verdict = await apns.sender(App(key_of(), TOPIC)).send(push_to(lab.device()))
        assert isinstance(verdict, Later)
        assert verdict.reason == "unreachable"
        assert not lab.production.ids


async def test_a_server_that_breaks_http2_is_left() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(NeverAnswer())
        stuck = asyncio.create_task(send(push_to(token)))
        await eventually(lambda: lab.production.in_flight == 1)
        lab.production.connections[0].garble()
        assert await stuck == Unknown("protocol_error")
        assert isinstance(await send(push_to(token)), Accepted)
        assert lab.production.connections_opened == 2


async def test_on_closing_what_is_on_its_way_is_awaited() -> None:
    async with apns_lab(ONE) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        lab.production.script(Hold(), Hold())
        sends = [asyncio.create_task(send(push_to(token))) for _ in range(2)]
        await eventually(lambda: lab.production.held == 2)
        closing = asyncio.create_task(lab.apns.close())
        await eventually(lambda: pool_of(lab).connections == 0)
        assert await send(push_to(token)) == Later("closing", "lane")
        assert not closing.done()
        lab.production.release()
        assert all(isinstance(one, Accepted) for one in await asyncio.gather(*sends))
        await closing
        await eventually(lambda: not lab.production.connections)


async def test_closing_has_an_end() -> None:
    async with apns_lab(dataclasses.replace(ONE, drain_s=0.1)) as lab:
        send, token = lab.sender(), lab.device()
        lab.production.script(None, NeverAnswer())
        await send(push_to(token))
        stuck = asyncio.create_task(send(push_to(token)))
        await eventually(lambda: lab.production.in_flight == 1)
        await lab.apns.close()
        assert await stuck == Unknown("closing")


async def test_all_faults_in_turn_on_one_lane_lose_no_push_and_no_connection_that_was_good() -> None:
    async with apns_lab(dataclasses.replace(QUICK, deadline_s=5), settings=ApnsSettings()) as lab:
        send, token = lab.sender(), lab.device()
        await send(push_to(token))
        counted: dict[str, int] = {}
        for round_number in range(20):
            lab.production.script(
                None,
                Reset(7),
                Reset(2),
                Pieces(3),
                Answer(503, "ServiceUnavailable"),
                Answer(429, "TooManyRequests"),
                None,
            )
            if round_number % 5 == 4:
                lab.production.script(Leave())
            for verdict in await asyncio.gather(*(send(push_to(token)) for _ in range(40))):
                counted[type(verdict).__name__] = counted.get(type(verdict).__name__, 0) + 1
        assert sum(counted.values()) == 800
        # Each goaway leaves to the next connection what it does not cover; of nothing else is the outcome open.
        assert counted["Unknown"] == 20
        assert counted["Accepted"] == len(lab.production.arrived) - 1
        assert counted["Accepted"] + counted["Later"] == 780
        assert isinstance(await send(push_to(token)), Accepted)
