"""Files that users put, to be attached to messages. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class UploadState(StrEnum):
    """`pending`: nothing was checked yet; `ready`: may be attached; `removed`: its file is gone, or about to be."""

    PENDING = "pending"
    READY = "ready"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of `user`. Name, type and size are as announced; a ready one was found to be so.

    `copies` names the copies that were made to be checked, `file` the one that was found right: only it is given out.
    Pixels as shown. `preview` is a tiny image in base64. `kept_at`: when a message was last about to use it.
    `look_at`: when to see whether it is still needed. Times are ms UTC.
    """

    id: str
    user: str
    name: str
    content_type: str
    size_bytes: int
    created_at: int
    look_at: int
    state: UploadState = UploadState.PENDING
    copies: tuple[str, ...] = ()
    file: str | None = None
    width: int | None = None
    height: int | None = None
    preview: str | None = None
    kept_at: int | None = None


def uploads_of(body: Mapping[str, Any]) -> list[str]:
    """The uploads that a message's body uses."""
    attachments = body.get("attachments")
    if not isinstance(attachments, list | tuple):
        return []
    used = (one.get("upload") for one in attachments if isinstance(one, Mapping))
    return list(dict.fromkeys(upload for upload in used if isinstance(upload, str)))
