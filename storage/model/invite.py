"""Invites: codes by which whoever has one may become a member."""

from dataclasses import dataclass

from storage.model.member import Role


@dataclass(frozen=True, slots=True)
class Invite:
    """An invite. The code itself is not kept: `id` is its digest. `uses` counts who came by it.

    `expires_at`: no longer good from then on; None: does not expire. `max_uses`; None: any number.
    """

    id: str
    conversation: str
    by: str
    role: Role
    created_at: int
    expires_at: int | None
    max_uses: int | None
    uses: int

    def good(self, at: int) -> bool:
        """Whether somebody may still come by it at that time."""
        expired = self.expires_at is not None and self.expires_at <= at
        used_up = self.max_uses is not None and self.max_uses <= self.uses
        return not expired and not used_up
