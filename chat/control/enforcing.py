"""Restrictions and withdrawn keys, felt by the sessions of this process: `Enforcer` over the engine."""

from collections.abc import Sequence
from typing import Final

from realtime.control import DisconnectSessions, Target, UnsubscribeSessions
from realtime.engine import Engine
from realtime.protocol.codes import CLOSE_EXPIRED, CLOSE_FORCE_NO_RECONNECT, UNSUBSCRIBE_EXPIRED
from storage.model import Restriction, RestrictionKind

NOTICE: Final = "restrictions"


class EngineEnforcer:
    """Everything is done to those too who are just connecting, by what was true before.

    Who is blocked must not come again: 3503. Whose token or key is gone may, with another one: 3005 makes SDKs connect
    again, their old token is then answered 109, and at that they fetch another.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Act on this engine's sessions from now on. Before that there are none."""
        self._engine = engine

    def enforce(self, restrictions: Sequence[Restriction]) -> None:
        """See `chat.control.restricting.Enforcer`."""
        revoked = frozenset(one.subject for one in restrictions if one.kind is RestrictionKind.REVOKED)
        if revoked:
            self._end(Target("", tokens=revoked))
        for one in restrictions:
            match one.kind:
                case RestrictionKind.BLOCKED:
                    code = CLOSE_FORCE_NO_RECONNECT
                    self._apply(DisconnectSessions(Target(one.subject), code.code, code.reason))
                case RestrictionKind.INVALIDATED if one.channel:
                    # Whoever is subscribed by a newer token, or without one, has it again with the next command.
                    over = UNSUBSCRIBE_EXPIRED
                    self._apply(UnsubscribeSessions(Target(one.subject), one.channel, over.code, over.reason, own=True))
                case RestrictionKind.INVALIDATED:
                    self._end(Target(one.subject, issued_before=one.issued_before))
                case RestrictionKind.REVOKED:
                    pass

    def withdraw(self, keys: frozenset[str]) -> None:
        """These keys verify nothing any more."""
        self._end(Target("", keys=keys))

    def tell(self) -> None:
        """See `chat.control.restricting.Enforcer`."""
        if self._engine is not None:
            self._engine.operations.notify(NOTICE, b"")

    def _end(self, target: Target) -> None:
        self._apply(DisconnectSessions(target, CLOSE_EXPIRED.code, CLOSE_EXPIRED.reason))

    def _apply(self, operation: DisconnectSessions | UnsubscribeSessions) -> None:
        if self._engine is not None:
            self._engine.operations.apply(operation)
