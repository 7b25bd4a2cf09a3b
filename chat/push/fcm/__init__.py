"""Firebase Cloud Messaging, HTTP v1: for Android, and for whatever else a project of Firebase reaches."""

from chat.push.fcm.oauth import ServiceAccount, parse_service_account
from chat.push.fcm.sender import FcmSender, open_fcm
from chat.push.fcm.settings import FcmSettings

__all__ = ["FcmSender", "FcmSettings", "ServiceAccount", "open_fcm", "parse_service_account"]
