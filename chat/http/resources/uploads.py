"""Files to attach to messages."""

from typing import Any, Final

from chat.http.resources.resource import Resource
from chat.methods import METHODS

UPLOAD: Final = "/v1/uploads/{upload}"


def _upload_path(result: Any) -> str:
    return f"/v1/uploads/{result.upload.id}"


RESOURCES: Final = (
    Resource("POST", "/v1/uploads", METHODS["upload.create"], "body", status=201, location=_upload_path),
    Resource("POST", f"{UPLOAD}/complete", METHODS["upload.complete"], "body"),
    Resource("GET", UPLOAD, METHODS["upload.get"], "query"),
)
