"""Blocks: whom a user does not want to hear from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """`user` blocks `blocked` since `at`, or did until `ended_at`. `revision` is the user's at the last change."""

    user: str
    blocked: str
    at: int
    revision: int
    ended_at: int | None = None
