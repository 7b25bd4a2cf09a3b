"""Requests that this server makes to URLs from elsewhere: they lead outside, or where the configuration says."""

from chat.outgoing.client import Answer, Failed, Outgoing, open_outgoing
from chat.outgoing.rules import Forbidden, Rules, check_address, check_url

__all__ = ["Answer", "Failed", "Forbidden", "Outgoing", "Rules", "check_address", "check_url", "open_outgoing"]
