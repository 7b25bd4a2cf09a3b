"""What a subscription to an application's channel comes with: its namespace's options, what a token overrides, and what
the client asked for and may have. Pure.
"""

from dataclasses import dataclass
from typing import Final

from chat.channels.namespaces import Channel
from chat.channels.permissions import Action, Allowed, Principal, may
from chat.config.channels import ChannelOptions


@dataclass(frozen=True, slots=True)
class Override:
    """What a token or the server API sets for one subscription. None: as the namespace says."""

    presence: bool | None = None
    join_leave: bool | None = None
    force_push_join_leave: bool | None = None
    force_recovery: bool | None = None
    force_positioning: bool | None = None


_NOTHING: Final = Override()


@dataclass(frozen=True, slots=True)
class Asked:
    """The flags of a subscribe command."""

    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionPlan:
    """`presence`: be listed. `emit_join_leave`: be announced. `push_join_leave`: be told of others.

    `recoverable` includes `positioned`: what can be recovered is watched for loss.
    """

    presence: bool
    emit_join_leave: bool
    push_join_leave: bool
    positioned: bool
    recoverable: bool


def plan(
    channel: Channel,
    options: ChannelOptions,
    who: Principal,
    *,
    asked: Asked | None = None,
    override: Override = _NOTHING,
) -> SubscriptionPlan:
    """Settle the flags of a subscription that was allowed. Without `asked` it is made by the server."""
    asked = asked or Asked()
    has_history = bool(options.history_size and options.history_ttl)
    join_leave = _either(override.join_leave, options.join_leave)
    presence = _either(override.presence, options.presence)
    recoverable = _either(override.force_recovery, options.force_recovery)
    positioned = _either(override.force_positioning, options.force_positioning)
    push = _either(override.force_push_join_leave, options.force_push_join_leave)
    reads_history = isinstance(may(Action.HISTORY, channel, options, who, subscribed=True), Allowed)
    if asked.recoverable and (options.allow_recovery or reads_history):
        recoverable = True
    if asked.positioned and (options.allow_positioning or reads_history):
        positioned = True
    if asked.join_leave and isinstance(may(Action.PRESENCE, channel, options, who, subscribed=True), Allowed):
        push = True
    recoverable = recoverable and has_history
    return SubscriptionPlan(
        presence=presence,
        emit_join_leave=join_leave,
        push_join_leave=push and join_leave,
        positioned=(positioned and has_history) or recoverable,
        recoverable=recoverable,
    )


def _either(override: bool | None, option: bool) -> bool:
    return option if override is None else override
