"""The policy of applications' channels: names, options by namespace, permissions. Pure; it decides and does nothing."""

from chat.channels.namespaces import BadChannel, Channel, ChannelKind, Namespaces, parse, personal_channel
from chat.channels.permissions import Action, Allowed, Decision, Denied, NotAvailable, Principal, may
from chat.channels.subscriptions import Asked, Override, SubscriptionPlan, plan

__all__ = [
    "Action",
    "Allowed",
    "Asked",
    "BadChannel",
    "Channel",
    "ChannelKind",
    "Decision",
    "Denied",
    "Namespaces",
    "NotAvailable",
    "Override",
    "Principal",
    "SubscriptionPlan",
    "may",
    "parse",
    "personal_channel",
    "plan",
]
