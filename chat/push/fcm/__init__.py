"""Firebase Cloud Messaging, HTTP v1: for Android, and for whatever else a project of Firebase reaches."""

from chat.push.fcm.oauth import BadServiceAccount, ServiceAccount, parse_service_account
from chat.push.fcm.sender import FcmSender, open_fcm
from chat.push.fcm.settings import FcmSettings

__all__ = ["BadServiceAccount", "FcmSender", "FcmSettings", "ServiceAccount", "open_fcm", "parse_service_account"]
