"""Notifications for a server of the operator's, which brings them to the device in a way of its own."""

from chat.push.webhook.credentials import BadWebhook, WebhookCredentials, new_secret, parse_webhook
from chat.push.webhook.sender import WebhookSender, WebhookSettings, open_webhook

__all__ = [
    "BadWebhook",
    "WebhookCredentials",
    "WebhookSender",
    "WebhookSettings",
    "new_secret",
    "open_webhook",
    "parse_webhook",
]
