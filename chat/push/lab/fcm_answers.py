"""How Google says no: the envelopes of its errors, word for word."""

from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from chat.push.lab.fcm_schema import Refusal

_FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_APNS_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"

HTML_502: Final = b"""<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <title>Error 502 (Server Error)!!1</title>
  <p><b>502.</b> <ins>That\xe2\x80\x99s an error.</ins>
  <p>The server encountered a temporary error and could not complete your request.<p>Please try again in 30 seconds.
"""


def json(status: int, value: Any, headers: dict[str, str] | None = None) -> web.Response:
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return web.Response(
        status=status, body=body, headers={"Content-Type": "application/json; charset=UTF-8", **(headers or {})}
    )


def error(
    status: int,
    name: str,
    message: str,
    *,
    code: str = "",
    details: tuple[dict[str, Any], ...] = (),
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Google's envelope. `code`: Firebase's own word for it, as a detail."""
    said: dict[str, Any] = {"code": status, "message": message, "status": name}
    listed = [{"@type": _FCM_ERROR, "errorCode": code}] if code else []
    if listed or details:
        said["details"] = [*listed, *details]
    return json(status, {"error": said}, headers)


def html(status: int = 502, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=HTML_502, headers={"Content-Type": "text/html; charset=UTF-8", **(headers or {})}
    )


def oauth(status: int, name: str, description: str) -> web.Response:
    return json(status, {"error": name, "error_description": description})


def refused(refusal: "Refusal") -> web.Response:
    if refusal.field is None:
        return error(400, "INVALID_ARGUMENT", refusal.text, code="INVALID_ARGUMENT")
    violation = {"field": refusal.field, "description": refusal.text}
    return error(
        400, "INVALID_ARGUMENT", refusal.text, details=({"@type": _BAD_REQUEST, "fieldViolations": [violation]},)
    )


def invalid_token() -> web.Response:
    return error(
        400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token", code="INVALID_ARGUMENT"
    )


def invalid_token_field(name: str = "message.token") -> web.Response:
    """As it was said in other years."""
    violation = {"field": name, "description": "Invalid registration token"}
    details = ({"@type": _BAD_REQUEST, "fieldViolations": [violation]},)
    return error(
        400, "INVALID_ARGUMENT", "Request contains an invalid argument.", code="INVALID_ARGUMENT", details=details
    )


def unauthenticated() -> web.Response:
    return error(
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
    )


def third_party_auth_error() -> web.Response:
    apns = {"@type": _APNS_ERROR, "statusCode": 403, "reason": "InvalidProviderToken"}
    return error(
        401,
        "UNAUTHENTICATED",
        "Auth error from APNS or Web Push Service",
        code="THIRD_PARTY_AUTH_ERROR",
        details=(apns,),
    )


def sender_id_mismatch() -> web.Response:
    return error(403, "PERMISSION_DENIED", "SenderId mismatch", code="SENDER_ID_MISMATCH")


def permission_denied(project: str) -> web.Response:
    return error(
        403,
        "PERMISSION_DENIED",
        f"Permission 'cloudmessaging.messages.create' denied on resource "
        f"'//cloudresourcemanager.googleapis.com/projects/{project}' (or it may not exist).",
    )


def unregistered() -> web.Response:
    return error(404, "NOT_FOUND", "Requested entity was not found.", code="UNREGISTERED")


def not_found() -> web.Response:
    return error(404, "NOT_FOUND", "Requested entity was not found.")


def quota_exceeded(retry_after: str | None = None) -> web.Response:
    return error(
        429,
        "RESOURCE_EXHAUSTED",
        "Message rate exceeded: quota exceeded for the project.",
        code="QUOTA_EXCEEDED",
        headers=_retry_after(retry_after),
    )


def internal() -> web.Response:
    return error(500, "INTERNAL", "Internal error encountered.", code="INTERNAL")


def unavailable(retry_after: str | None = None) -> web.Response:
    return error(
        503,
        "UNAVAILABLE",
        "The service is currently unavailable.",
        code="UNAVAILABLE",
        headers=_retry_after(retry_after),
    )


def unspecified() -> web.Response:
    return error(500, "UNKNOWN", "Unknown error.", code="UNSPECIFIED_ERROR")


def _retry_after(value: str | None) -> dict[str, str]:
    return {} if value is None else {"Retry-After": value}
