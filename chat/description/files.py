"""The documents as they are served and as they are kept in `docs/`: the same bytes."""

import json
from typing import Any

from chat.description.asyncapi import asyncapi
from chat.description.openapi import openapi


def documents() -> dict[str, bytes]:
    """By file name. Takes a moment: 0.1 s."""
    return {"openapi.json": _encoded(openapi()), "asyncapi.json": _encoded(asyncapi())}


def _encoded(document: dict[str, Any]) -> bytes:
    # In lines, so that changes can be read in version control.
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
