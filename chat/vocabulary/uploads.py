"""Files to attach to messages: what the methods take and return."""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.types import ConversationId, IdempotencyKey

_END: Final = r"$(?!\n)"

UPLOAD_ID: Final = r"[a-z2-7]{26}"
UploadId: TypeAlias = Annotated[str, Meta(pattern=rf"^{UPLOAD_ID}{_END}", description="26 characters of base32")]
FileName: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=rf"^[^\x00-\x1f\x7f/\\]+{_END}",
        description="without path and control characters",
    ),
]
ContentType: TypeAlias = Annotated[
    str,
    Meta(
        max_length=127,
        pattern=rf"^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*{_END}",
        description="a media type in lower case, without parameters",
    ),
]


class UploadCreate(Struct, frozen=True):
    """The same key again answers with the same upload and a fresh link."""

    name: FileName
    size_bytes: Annotated[int, Meta(ge=1, le=2**40)]
    content_type: ContentType
    idempotency_key: IdempotencyKey | UnsetType = UNSET


class UploadComplete(Struct, frozen=True):
    upload: UploadId


class UploadGet(Struct, frozen=True):
    """`conversation`: where the caller found it; only needed for an upload that is in very many conversations."""

    upload: UploadId
    conversation: ConversationId | UnsetType = UNSET


class Upload(Struct, frozen=True, omit_defaults=True):
    """A file. `state` is `pending` or `ready`. Pixels as they are shown; `preview` is a tiny WebP image in base64."""

    id: str
    state: str
    name: str
    content_type: str
    size_bytes: int
    created_at: int
    width: int | None = None
    height: int | None = None
    preview: str | None = None


class PutLink(Struct, frozen=True):
    """Where to send the bytes, with this method and these headers, until `expires_at` (ms UTC).

    A `url` that begins with a slash is a path of this server.
    """

    url: str
    method: str
    headers: dict[str, str]
    expires_at: int


class GetLink(Struct, frozen=True):
    """Where the file is, until `expires_at` (ms UTC); no more than the link is needed. A `url` that begins with a slash
    is a path of this server.
    """

    url: str
    expires_at: int


class UploadCreated(Struct, frozen=True, omit_defaults=True):
    """`put` is absent when the key stands for an upload that is ready."""

    upload: Upload
    put: PutLink | None = None
    duplicate: bool = False


class UploadCompleted(Struct, frozen=True):
    upload: Upload


class UploadResult(Struct, frozen=True, omit_defaults=True):
    """`get` is absent as long as it is pending."""

    upload: Upload
    get: GetLink | None = None
