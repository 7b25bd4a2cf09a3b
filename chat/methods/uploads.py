"""Files to attach to messages."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import uploads

METHODS: Final = (
    Method(
        "upload.create",
        uploads.UploadCreate,
        uploads.UploadCreated,
        lambda service, user, request: service.uploads.create(user, request),
        "Announce a file, and get the link to put it to.",
    ),
    Method(
        "upload.complete",
        uploads.UploadComplete,
        uploads.UploadCompleted,
        lambda service, user, request: service.uploads.complete(user, request),
        "Have a file checked that was put. From then on a message may carry it.",
    ),
    Method(
        "upload.get",
        uploads.UploadGet,
        uploads.UploadResult,
        lambda service, user, request: service.uploads.get(user, request),
        "An upload with a fresh link, for its user and for members of a conversation with a message that carries it.",
    ),
)
