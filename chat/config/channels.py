"""The keys of `[channel]`: options of channels for application events, under Centrifugo's names."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from chat.config.keys import Rule, Table
from chat.config.values import Seconds

RESERVED_NAMESPACES = frozenset({"conv", "user"})
"""Prefixes of the chat's own channels: membership decides there, never an option."""


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What may be done in the channels of one namespace. By default: nothing but what the server API does."""

    presence: Annotated[bool, Rule("Keep the list of who is subscribed.")] = False
    join_leave: Annotated[
        bool, Rule("Announce subscribers that come and go, to those that ask for it. Costs n² in large channels.")
    ] = False
    force_push_join_leave: Annotated[bool, Rule("Announce them to every subscriber, asked or not.")] = False
    history_size: Annotated[
        int, Rule("Publications kept. Both this and `history_ttl` are needed.", minimum=0, maximum=100_000)
    ] = 0
    history_ttl: Annotated[Seconds, Rule("How long publications are kept after the last one.", minimum=0.0)] = 0.0
    history_meta_ttl: Annotated[
        Seconds,
        Rule(
            "How long the channel's position outlives its publications. `0s`: as in `channel.history_meta_ttl`.",
            minimum=0.0,
        ),
    ] = 0.0
    force_positioning: Annotated[
        bool, Rule("Watch every subscriber's position, so that a lost publication is noticed.")
    ] = False
    allow_positioning: Annotated[bool, Rule("The same for subscribers that ask for it.")] = False
    force_recovery: Annotated[bool, Rule("Give every subscriber what it missed while it was away. Needs history.")] = (
        False
    )
    allow_recovery: Annotated[bool, Rule("The same for subscribers that ask for it.")] = False
    allow_subscribe_for_client: Annotated[bool, Rule("Every signed-in user may subscribe.")] = False
    allow_subscribe_for_anonymous: Annotated[
        bool, Rule("With `allow_subscribe_for_client`: connections without user too.")
    ] = False
    allow_publish_for_client: Annotated[bool, Rule("Every signed-in user may publish.")] = False
    allow_publish_for_subscriber: Annotated[bool, Rule("Subscribers may publish.")] = False
    allow_publish_for_anonymous: Annotated[bool, Rule("With one of the two above: connections without user too.")] = (
        False
    )
    allow_presence_for_client: Annotated[bool, Rule("Every signed-in user may read presence.")] = False
    allow_presence_for_subscriber: Annotated[bool, Rule("Subscribers may read presence.")] = False
    allow_presence_for_anonymous: Annotated[bool, Rule("With one of the two above: connections without user too.")] = (
        False
    )
    allow_history_for_client: Annotated[bool, Rule("Every signed-in user may read history.")] = False
    allow_history_for_subscriber: Annotated[bool, Rule("Subscribers may read history.")] = False
    allow_history_for_anonymous: Annotated[bool, Rule("With one of the two above: connections without user too.")] = (
        False
    )
    allow_user_limited_channels: Annotated[
        bool, Rule("The users named after `#` in a channel's name may subscribe: `pair#anna,ben`.")
    ] = False


@dataclass(frozen=True, slots=True)
class ChannelNamespace(ChannelOptions):
    """One row of `[[channel.namespaces]]`: the options of the channels `<name>:…`."""

    name: Annotated[
        str, Rule("What stands before the `:` in the channel's name.", pattern=r"[A-Za-z0-9_.-]{1,64}", required=True)
    ] = ""


_EXAMPLE: Final = """\
[[channel.namespaces]]
name = "news"
allow_subscribe_for_client = true
presence = true
history_size = 100
history_ttl = "5m"
force_recovery = true
"""


@dataclass(frozen=True, slots=True)
class ChannelSection:
    max_length: Annotated[int, Rule("Longest name of a channel, in characters.", minimum=16, maximum=255)] = 255
    history_meta_ttl: Annotated[
        Seconds,
        Rule(
            "How long a channel's position outlives its last publication, unless its namespace says otherwise.",
            minimum=60.0,
        ),
    ] = 720 * 3600.0
    without_namespace: Annotated[ChannelOptions, Table("Options of channels without a namespace in their name.")] = (
        field(default_factory=ChannelOptions)
    )
    namespaces: Annotated[
        tuple[ChannelNamespace, ...],
        Rule(
            "Namespaces: what stands before the first `:` of a channel's name chooses its options. Unknown ones are "
            "error 102. Options left out are false or zero, not those of channels without namespace.",
            example=_EXAMPLE,
        ),
    ] = ()
