"""When a message deletes itself. Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec import UnsetType

from chat.usecases.ports import Limits
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import ConversationSettings


def expiring(
    body: Mapping[str, Any], wish_s: int | UnsetType, settings: ConversationSettings, limits: Limits, *, at: int
) -> Mapping[str, Any]:
    """The body of a message sent at `at`, with `expires_at` where the sender wishes or the conversation asks for it.

    Where both do, the shorter time counts. Raises ClientError.
    """
    if isinstance(wish_s, int) and wish_s > limits.message_ttl_max_s:
        raise ClientError(
            codes.BAD_REQUEST, f"must be at most {limits.message_ttl_max_s} (limits.message_ttl_max)", "expires_in_s"
        )
    wishes = [wish for wish in (wish_s, settings.message_ttl_s) if isinstance(wish, int) and wish]
    return {**body, "expires_at": at + min(wishes) * 1000} if wishes else body
