"""Names of channels, taken apart; options by namespace."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.channels import BadChannel, ChannelKind, Namespaces, parse, personal_channel
from chat.channels.namespaces import config_table
from chat.config.channels import ChannelNamespace, ChannelOptions, ChannelSection


@pytest.mark.parametrize(
    ("name", "kind", "namespace", "rest", "private", "users"),
    [
        ("news", "plain", "", "news", False, None),
        ("news:sport", "plain", "news", "sport", False, None),
        ("news:sport:live", "plain", "news", "sport:live", False, None),
        ("news:", "plain", "news", "", False, None),
        (":x", "plain", "", "x", False, None),
        ("$news:sport", "plain", "news", "sport", True, None),
        ("$secret", "plain", "", "secret", True, None),
        ("#anna", "plain", "", "#anna", False, {"anna"}),
        ("pair#anna,ben", "plain", "", "pair#anna,ben", False, {"anna", "ben"}),
        ("news:pair#anna,ben", "plain", "news", "pair#anna,ben", False, {"anna", "ben"}),
        ("a#b#anna", "plain", "", "a#b#anna", False, {"anna"}),
        ("pair#", "plain", "", "pair#", False, set()),
        ("pair#,", "plain", "", "pair#,", False, set()),
        ("conv:abc~5", "conv", "conv", "abc~5", False, None),
        ("user:anna", "user", "user", "anna", False, None),
        ("user:a#b", "user", "user", "a#b", False, None),
        ("$conv:abc", "plain", "conv", "abc", True, None),
        ("convention", "plain", "", "convention", False, None),
    ],
)
def test_a_name_is_taken_apart(
    name: str, kind: str, namespace: str, rest: str, private: bool, users: set[str] | None
) -> None:
    channel = parse(name)
    assert (channel.name, channel.kind, channel.namespace, channel.rest, channel.private, channel.users) == (
        (name, kind, namespace, rest, private, users)
    )


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "is required"),
        ("a" * 256, "is longer than 255 characters"),
        ("né", "must be printable ASCII"),
        ("a\nb", "must be printable ASCII"),
        ("a\x00", "must be printable ASCII"),
        ("conv:", "names nothing after conv:"),
        ("user:", "names nothing after user:"),
    ],
)
def test_an_impossible_name_is_refused_with_its_rule(name: str, rule: str) -> None:
    with pytest.raises(BadChannel, match=rule):
        parse(name)


def test_the_longest_name_is_accepted() -> None:
    assert parse("a" * 255).rest == "a" * 255


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_channel_or_refused(name: str) -> None:
    try:
        channel = parse(name)
    except BadChannel:
        return
    assert channel.name == name
    assert name.endswith(channel.rest)


def test_options_are_chosen_by_namespace_and_an_unknown_one_has_none() -> None:
    without = ChannelOptions(presence=True)
    news = ChannelNamespace(name="news", history_size=1, history_ttl=1.0)
    namespaces = Namespaces(ChannelSection(without_namespace=without, namespaces=(news,)))
    assert namespaces.options(parse("lobby")) is without
    assert namespaces.options(parse("news:x")) is news
    assert namespaces.options(parse("$news:x")) is news
    assert namespaces.options(parse("old:x")) is None
    assert namespaces.options(parse("conv:x")) is None
    assert namespaces.options(parse("$conv:x")) is None
    assert namespaces.options(parse("user:x")) is None


def test_the_configured_length_holds() -> None:
    with pytest.raises(BadChannel, match="20 characters"):
        Namespaces(ChannelSection(max_length=20)).parse("a" * 21)


def test_a_namespace_may_keep_positions_for_a_time_of_its_own() -> None:
    namespaces = Namespaces(ChannelSection(history_meta_ttl=100.0))
    assert namespaces.history_meta_ttl_s(ChannelOptions()) == 100
    assert namespaces.history_meta_ttl_s(ChannelOptions(history_meta_ttl=7.0)) == 7


def test_a_personal_channel_names_its_user() -> None:
    assert personal_channel("anna") == "#anna"
    assert personal_channel("anna", "me") == "me:#anna"
    assert parse(personal_channel("anna", "me")).users == {"anna"}
    assert parse(personal_channel("anna", "me")).kind is ChannelKind.PLAIN


def test_messages_name_the_table() -> None:
    assert config_table(parse("lobby")) == "channel.without_namespace"
    assert config_table(parse("news:x")) == "channel.namespaces[news]"
