"""The permission grid, rule by rule, and the texts of its refusals."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.channels import Action, Allowed, Asked, Denied, NotAvailable, Override, Principal, may, parse, plan
from chat.config.channels import ChannelOptions
from chat.config.keys import describe
from chat.config.schema import Config

ANNA, NOBODY = Principal("anna"), Principal("")
ANYONE_INSECURE = Principal("", insecure=True)
KEPT = {"presence": True, "history_size": 1, "history_ttl": 1.0}
LOBBY = parse("lobby")


def options(**given: bool) -> ChannelOptions:
    return dataclasses.replace(ChannelOptions(presence=True, history_size=1, history_ttl=1.0), **given)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("who", [ANNA, NOBODY])
@pytest.mark.parametrize("subscribed", [False, True])
def test_by_default_nothing_is_allowed(action: Action, who: Principal, subscribed: bool) -> None:
    assert isinstance(may(action, LOBBY, options(), who, subscribed=subscribed), Denied)


@pytest.mark.parametrize("action", list(Action))
def test_for_client_grants_every_signed_in_user(action: Action) -> None:
    granted = options(**{f"allow_{action}_for_client": True})
    assert may(action, LOBBY, granted, ANNA) == Allowed(f"channel.without_namespace.allow_{action}_for_client")
    assert isinstance(may(action, LOBBY, granted, NOBODY), Denied)


@pytest.mark.parametrize("action", list(Action))
def test_for_anonymous_widens_for_client_and_grants_nothing_alone(action: Action) -> None:
    anonymous = {f"allow_{action}_for_anonymous": True}
    both = options(**anonymous, **{f"allow_{action}_for_client": True})
    assert isinstance(may(action, LOBBY, both, NOBODY), Allowed)
    for who in (ANNA, NOBODY):
        assert isinstance(may(action, LOBBY, options(**anonymous), who, subscribed=True), Denied)


@pytest.mark.parametrize("action", [Action.PUBLISH, Action.PRESENCE, Action.HISTORY])
def test_for_subscriber_grants_those_who_are_subscribed(action: Action) -> None:
    granted = options(**{f"allow_{action}_for_subscriber": True})
    assert may(action, LOBBY, granted, ANNA, subscribed=True) == Allowed(
        f"channel.without_namespace.allow_{action}_for_subscriber"
    )
    assert isinstance(may(action, LOBBY, granted, ANNA), Denied)
    assert isinstance(may(action, LOBBY, granted, NOBODY, subscribed=True), Denied)
    widened = dataclasses.replace(granted, **{f"allow_{action}_for_anonymous": True})
    assert isinstance(may(action, LOBBY, widened, NOBODY, subscribed=True), Allowed)


def test_what_is_not_kept_is_not_available_to_anyone() -> None:
    everything = ChannelOptions(allow_presence_for_client=True, allow_history_for_client=True)
    for who in (ANNA, ANYONE_INSECURE):
        assert may(Action.PRESENCE, LOBBY, everything, who) == NotAvailable(
            "presence is not kept", "channel.without_namespace.presence"
        )
        assert may(Action.HISTORY, LOBBY, everything, who) == NotAvailable(
            "history is not kept", "channel.without_namespace.history_size"
        )


def test_insecure_grants_everything_but_private_names() -> None:
    for action in Action:
        assert may(action, LOBBY, options(), ANYONE_INSECURE) == Allowed("client.insecure")
    assert isinstance(may(Action.SUBSCRIBE, parse("$lobby"), options(), ANYONE_INSECURE), Denied)


def test_a_token_grants_the_subscription_and_nothing_else() -> None:
    for name in ("lobby", "$lobby", "pair#ben"):
        assert may(Action.SUBSCRIBE, parse(name), options(), ANNA, token=True) == Allowed("token")
    assert isinstance(may(Action.PUBLISH, LOBBY, options(), ANNA, subscribed=True, token=True), Denied)


def test_a_private_name_needs_a_token_whatever_the_options_say() -> None:
    decision = may(Action.SUBSCRIBE, parse("$lobby"), options(allow_subscribe_for_client=True), ANNA)
    assert decision == Denied("names with $ need a subscription token", "")


def test_a_user_limited_channel_is_for_the_users_it_names() -> None:
    limited = options(allow_user_limited_channels=True, allow_subscribe_for_client=True)
    pair = parse("pair#anna,ben")
    assert isinstance(may(Action.SUBSCRIBE, pair, limited, ANNA), Allowed)
    assert may(Action.SUBSCRIBE, pair, limited, Principal("eve")) == Denied("is for the users named after #", "")
    assert isinstance(may(Action.SUBSCRIBE, parse("pair#"), limited, NOBODY), Denied)
    assert isinstance(may(Action.SUBSCRIBE, pair, options(allow_user_limited_channels=False), ANNA), Denied)


@settings(deadline=None)
@given(st.booleans(), st.booleans(), st.sampled_from(list(Action)), st.sampled_from([ANNA, NOBODY]), st.data())
def test_every_rule_and_key_in_a_decision_exists(
    subscribed: bool, token: bool, action: Action, who: Principal, data: st.DataObject
) -> None:
    flags = [key.name for key in describe(ChannelOptions).keys if key.value_type is bool]
    chosen = ChannelOptions(**KEPT | {flag: data.draw(st.booleans()) for flag in flags})
    decision = may(action, LOBBY, chosen, who, subscribed=subscribed, token=token)
    known = {key.path for key in describe(Config).every_key()} | {"token", ""}
    assert (decision.rule if isinstance(decision, Allowed) else decision.key) in known


@settings(deadline=None)
@given(st.sampled_from([Action.PUBLISH, Action.PRESENCE, Action.HISTORY]), st.data())
def test_turning_the_key_that_a_refusal_names_changes_the_decision(action: Action, data: st.DataObject) -> None:
    flags = [f"allow_{action}_for_{who}" for who in ("client", "subscriber", "anonymous")]
    chosen = options(**{flag: data.draw(st.booleans()) for flag in flags})
    who, subscribed = data.draw(st.sampled_from([ANNA, NOBODY])), data.draw(st.booleans())
    decision = may(action, LOBBY, chosen, who, subscribed=subscribed)
    if isinstance(decision, Denied):
        turned = dataclasses.replace(chosen, **{decision.key.rpartition(".")[2]: True})
        assert may(action, LOBBY, turned, who, subscribed=subscribed) != decision


def test_a_refusal_reads_as_a_sentence() -> None:
    denied = may(Action.PUBLISH, parse("news:x"), options(), ANNA)
    assert isinstance(denied, Denied)
    assert denied.text == "publish is for the server API (channel.namespaces[news].allow_publish_for_subscriber)"


def test_a_subscription_has_what_its_namespace_forces() -> None:
    forced = options(join_leave=True, force_push_join_leave=True, force_recovery=True)
    settled = plan(LOBBY, forced, ANNA)
    assert (settled.presence, settled.emit_join_leave, settled.push_join_leave) == (True, True, True)
    assert (settled.recoverable, settled.positioned) == (True, True)
    bare = plan(LOBBY, ChannelOptions(), ANNA)
    assert not any(dataclasses.astuple(bare))


def test_a_client_gets_what_it_asks_for_where_it_may() -> None:
    asked = Asked(positioned=True, recoverable=True, join_leave=True)
    refused = plan(LOBBY, options(join_leave=True), ANNA, asked=asked)
    assert (refused.positioned, refused.recoverable, refused.push_join_leave) == (False, False, False)
    for allowing in (
        options(join_leave=True, allow_recovery=True, allow_positioning=True, allow_presence_for_subscriber=True),
        options(join_leave=True, allow_history_for_subscriber=True, allow_presence_for_client=True),
    ):
        granted = plan(LOBBY, allowing, ANNA, asked=asked)
        assert (granted.positioned, granted.recoverable, granted.push_join_leave) == (True, True, True)


def test_a_token_overrides_the_namespace_both_ways() -> None:
    on = Override(
        presence=True, join_leave=True, force_push_join_leave=True, force_recovery=True, force_positioning=True
    )
    off = Override(
        presence=False, join_leave=False, force_push_join_leave=False, force_recovery=False, force_positioning=False
    )
    assert all(dataclasses.astuple(plan(LOBBY, options(), ANNA, override=on)))
    forced = options(join_leave=True, force_push_join_leave=True, force_recovery=True, force_positioning=True)
    assert not any(dataclasses.astuple(plan(LOBBY, forced, ANNA, override=off)))


def test_without_history_nothing_is_recoverable() -> None:
    settled = plan(LOBBY, ChannelOptions(), ANNA, override=Override(force_recovery=True, force_positioning=True))
    assert (settled.recoverable, settled.positioned) == (False, False)
