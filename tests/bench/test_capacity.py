"""The arithmetic of the plans: what so many users need, from what things cost."""

from dataclasses import replace

import pytest

from bench.capacity import (
    Hub,
    Inputs,
    Layout,
    UnitCosts,
    check,
    hubs_reached,
    plan,
    poll_every_s,
    read_inputs,
    redis_message_us,
    table,
)

UNITS = UnitCosts(send_us=100, deliver_us=10, hear_us=50, redis_publish_us=8, redis_copy_us=2)


@pytest.fixture
def inputs() -> Inputs:
    """Those of the plans, with round costs."""
    return replace(read_inputs(), units=UNITS)


def test_a_message_is_sent_once_heard_on_every_other_hub_and_delivered_to_everybody() -> None:
    assert Hub.message_us(UNITS, Layout(deliveries=10, hubs=1)) == 100 + 10 * 10
    assert Hub.message_us(UNITS, Layout(deliveries=10, hubs=4)) == 100 + 3 * 50 + 10 * 10


def test_redis_takes_a_message_once_and_gives_it_to_whoever_listens_the_writer_included() -> None:
    assert redis_message_us(UNITS, Layout(deliveries=10, hubs=1)) == 8 + 2
    assert redis_message_us(UNITS, Layout(deliveries=10, hubs=4)) == 8 + 4 * 2


@pytest.mark.parametrize(
    ("hubs", "connections", "reached"), [(1, 10, 1), (2, 1, 1), (2, 2, 1.5), (4, 1, 1), (10, 1e9, 10), (1e9, 10, 10)]
)
def test_a_message_reaches_no_more_hubs_than_there_are_and_no_more_than_connections(
    hubs: float, connections: float, reached: float
) -> None:
    assert hubs_reached(hubs, connections) == pytest.approx(reached)


def test_what_one_hub_more_costs_a_message_vanishes_as_there_are_more(inputs: Inputs) -> None:
    costs = [plan(users, inputs).next_hub_us_per_message for users in (10**4, 10**5, 10**6, 10**7)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 1


def test_rates_follow_from_what_users_do(inputs: Inputs) -> None:
    usage = replace(inputs.usage, messages_per_user_day=86.4, peak_factor=2, online_share=0.1)
    one = plan(1000, replace(inputs, usage=usage))
    assert one.messages_per_s == pytest.approx(2)
    assert one.connections == pytest.approx(1000 * 0.1 * usage.connections_per_online_user)
    deliveries = usage.members * usage.member_online_share * usage.connections_per_online_user
    assert one.deliveries_per_s == pytest.approx(2 * deliveries)


def test_there_are_hubs_enough_for_the_connections_and_for_the_cpu(inputs: Inputs) -> None:
    limits = inputs.limits
    for users in (10**4, 10**5, 10**6, 10**7):
        one = plan(users, inputs)
        assert one.hubs >= one.hubs_by_connections
        assert one.hubs * limits.connections_per_hub >= one.connections
        assert one.hub_cores <= one.hubs * limits.hub_share
    few = replace(limits, connections_per_hub=10**9)
    by_cpu = plan(10**7, replace(inputs, limits=few))
    assert by_cpu.hubs_by_connections == 1
    assert (by_cpu.hubs - 1) * limits.hub_share < by_cpu.hub_cores <= by_cpu.hubs * limits.hub_share


def test_shards_are_as_many_as_what_is_scarcest_needs(inputs: Inputs) -> None:
    one = plan(10**7, inputs)
    assert one.shards_by == "disk"
    assert one.shards * inputs.limits.shard_disk_gb >= one.disk_gb
    short = replace(inputs, usage=replace(inputs.usage, retention_days=1, hot_days=0.1))
    assert plan(10**7, short).shards_by == "CPU"


def test_a_hub_looks_for_losses_less_often_where_more_moves_than_it_may_look_at() -> None:
    assert poll_every_s(moved=1000, talking=10**6) == 2
    assert poll_every_s(moved=10_000, talking=10**6) == 500


def test_predictions_stand_beside_what_was_measured() -> None:
    def figure(name: str, *values: tuple[int | None, list[float]]) -> dict[str, object]:
        return {"name": name, "series": [{"at": at, "values": list(of)} for at, of in values]}

    measured = {
        "figures": [
            figure("a send", (None, [90.0, 100.0, 110.0])),
            figure("a delivery", (None, [10.0])),
            figure("hearing it on one more hub", (None, [50.0])),
            figure("Redis: taking a message", (None, [8.0])),
            figure("Redis: a copy of it", (None, [2.0])),
            figure("a delivery, two members", (1, [60.0])),
            figure("a delivery, ten members", (1, [20.0]), (4, [40.0])),
        ]
    }
    found = [(one.members, one.hubs, one.predicted_us, one.measured_us) for one in check(measured)]
    assert found == [(2, 1, 60, 60), (10, 1, 20, 20), (10, 4, 35, 40)]
    assert check(measured)[-1].off == pytest.approx(-0.125)


def test_the_plans_that_are_written_down_are_those_of_the_costs_that_are_written_down() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text()
    inputs = read_inputs()
    assert table([plan(users, inputs) for users in (10**4, 10**5, 10**6, 10**7)]) in page
