"""Who may do what in applications' channels: one function, in Centrifugo's order, first grant wins. Pure.

A refusal teaches: it names the rule and the configuration key that would change it. That is no secret, the rules are
public and the key is the operator's to turn; but it is short, as it travels to clients.
"""

from dataclasses import dataclass
from enum import StrEnum

from chat.channels.namespaces import Channel, config_table
from chat.config.channels import ChannelOptions


class Action(StrEnum):
    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    PRESENCE = "presence"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `user` is empty for an anonymous connection. `insecure`: `client.insecure` is on."""

    user: str
    insecure: bool = False

    @property
    def anonymous(self) -> bool:
        return not self.user


@dataclass(frozen=True, slots=True)
class Allowed:
    """`rule` is what granted it: a configuration key, or `token`."""

    rule: str


@dataclass(frozen=True, slots=True)
class Denied:
    """`rule` completes "channel: …" in an error 103; `key` is the configuration key that would change it."""

    rule: str
    key: str

    @property
    def text(self) -> str:
        return f"{self.rule} ({self.key})" if self.key else self.rule


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """The channel does not keep what was asked for: error 108. `key` is the configuration key that would change it."""

    rule: str
    key: str

    @property
    def text(self) -> str:
        return f"{self.rule} ({self.key})"


Decision = Allowed | Denied | NotAvailable


def may(
    action: Action,
    channel: Channel,
    options: ChannelOptions,
    who: Principal,
    *,
    subscribed: bool = False,
    token: bool = False,
) -> Decision:
    """Decide one action of one connection in an application's channel whose `options` are known.

    `subscribed`: the connection is subscribed to it, or is just being. `token`: it showed a good token for it.
    """
    if action is Action.PRESENCE and not options.presence:
        return NotAvailable("presence is not kept", f"{config_table(channel)}.presence")
    if action is Action.HISTORY and not (options.history_size and options.history_ttl):
        return NotAvailable("history is not kept", f"{config_table(channel)}.history_size")
    if action is Action.SUBSCRIBE and channel.private and not token:
        return Denied("names with $ need a subscription token", "")
    if action is Action.SUBSCRIBE:
        decision = _may_subscribe(channel, options, who, token=token)
    else:
        decision = _may_use(action, channel, options, who, subscribed=subscribed)
    return Allowed("client.insecure") if who.insecure and isinstance(decision, Denied) else decision


def _may_subscribe(channel: Channel, options: ChannelOptions, who: Principal, *, token: bool) -> Decision:
    table = config_table(channel)
    if token:
        return Allowed("token")
    if channel.users is not None and options.allow_user_limited_channels:
        if who.user and who.user in channel.users:
            return Allowed(f"{table}.allow_user_limited_channels")
        return Denied("is for the users named after #", "")
    if not options.allow_subscribe_for_client:
        return Denied("needs a subscription token", f"{table}.allow_subscribe_for_client")
    if who.anonymous and not options.allow_subscribe_for_anonymous:
        return Denied("is for signed-in users", f"{table}.allow_subscribe_for_anonymous")
    return Allowed(f"{table}.allow_subscribe_for_client")


def _may_use(
    action: Action, channel: Channel, options: ChannelOptions, who: Principal, *, subscribed: bool
) -> Decision:
    table = config_table(channel)
    for_client, for_subscriber, for_anonymous = _grants(action, options)
    key = f"{table}.allow_{action}_for_"
    if not (for_client or for_subscriber):
        return Denied(f"{action} is for the server API", f"{key}subscriber")
    if not (for_client or subscribed):
        return Denied(f"{action} is for subscribers", f"{key}client")
    if who.anonymous and not for_anonymous:
        return Denied(f"{action} is for signed-in users", f"{key}anonymous")
    return Allowed(f"{key}client" if for_client else f"{key}subscriber")


def _grants(action: Action, options: ChannelOptions) -> tuple[bool, bool, bool]:
    """(for client, for subscriber, for anonymous)"""
    match action:
        case Action.PUBLISH:
            return (
                options.allow_publish_for_client,
                options.allow_publish_for_subscriber,
                options.allow_publish_for_anonymous,
            )
        case Action.PRESENCE:
            return (
                options.allow_presence_for_client,
                options.allow_presence_for_subscriber,
                options.allow_presence_for_anonymous,
            )
        case Action.HISTORY:
            return (
                options.allow_history_for_client,
                options.allow_history_for_subscriber,
                options.allow_history_for_anonymous,
            )
        case Action.SUBSCRIBE:
            return options.allow_subscribe_for_client, False, options.allow_subscribe_for_anonymous
