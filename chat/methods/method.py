"""What a method of the API is."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec import Struct

from chat.usecases.service import Service

Outcome: TypeAlias = "Struct | asyncio.Future[Any]"
"""A result, or the promise of one: what is promised is done in the order of the calls, and answered when it is done."""


@dataclass(frozen=True, slots=True)
class Method:
    """`run(service, user, request)` does it. `summary` is for the descriptions."""

    name: str
    request: type[Struct]
    result: type[Struct]
    run: Callable[[Service, str, Any], Coroutine[Any, Any, Outcome]]
    summary: str
