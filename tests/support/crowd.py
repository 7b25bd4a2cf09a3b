"""People who do anything at all in a conversation, on several hubs, in an order that a seed decides."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from support.wire_client import WireClient

REACTIONS: Final = ("👍", "🎉", ":wave:")
REFUSALS: Final = (103, 106, 107, 113)
"""What somebody who does not look first may be told."""

Params = dict[str, Any]


@dataclass
class Crowd:
    """`clients[user]` are a user's connections, one to each hub. `conversation` is a group that they are in."""

    random: Random
    clients: dict[str, Sequence[WireClient]]
    conversation: str
    said: list[int] = field(default_factory=list)
    """Offsets of messages in the conversation."""
    threads: set[int] = field(default_factory=set)
    """Offsets of the messages that have replies."""
    hidden: dict[str, set[int]] = field(default_factory=dict)
    """What each user has deleted for themselves."""
    done: list[str] = field(default_factory=list)
    """What was done, for whoever has to understand a failure."""

    async def do(self, acts: int) -> None:
        """So many acts at once, each of one person. Raises AssertionError when one is answered with anything but a
        result or a refusal.
        """
        await asyncio.gather(*(self._act() for _ in range(acts)))

    async def _act(self) -> None:
        method, make = self.random.choice(_ACTS)
        user = self.random.choice(list(self.clients))
        params = make(self)
        if params is None:
            return
        answer = await self.random.choice(self.clients[user]).rpc(method, **params)
        error = answer.get("error")
        self.done.append(f"{user}: {method} {params} -> {error or 'done'}")
        assert error is None or error["code"] in REFUSALS, self.done[-1]
        if error is None:
            self._note(user, method, params, answer)

    def _note(self, user: str, method: str, params: Params, answer: Any) -> None:
        if method == "message.send" and params["conversation"] == self.conversation:
            self.said.append(answer["message"]["offset"])
        elif method == "message.send":
            self.threads.add(int(params["conversation"].partition("~")[2]))
        elif params.get("for") == "me":
            self.hidden.setdefault(user, set()).add(params["offset"])

    def key(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def word(self) -> str:
        return f"word {self.random.randrange(1000)}"

    def anybody(self) -> str:
        return self.random.choice(list(self.clients))

    def anywhere(self, **more: Any) -> Params | None:
        """Where one of the messages is, with more parameters; None before there is one."""
        if not self.said:
            return None
        return {"conversation": self.conversation, "offset": self.random.choice(self.said), **more}

    def here(self, **more: Any) -> Params:
        return {"conversation": self.conversation, **more}


def _send(crowd: Crowd) -> Params:
    params = crowd.here(idempotency_key=crowd.key(), text=crowd.word())
    match crowd.random.randrange(5):
        case 0:
            params["mentions"] = [crowd.anybody()]
        case 1:
            params["mentions_group"] = "all"
        case 2 if crowd.said:
            params["reply_to"] = crowd.random.choice(crowd.said)
        case 3:
            params["content"] = {"type": "poll", "question": crowd.word()}
    return params


def _reply(crowd: Crowd) -> Params | None:
    if not crowd.said:
        return None
    thread = f"{crowd.conversation}~{crowd.random.choice(crowd.said[:3])}"
    return {"conversation": thread, "idempotency_key": crowd.key(), "text": crowd.word()}


def _update(crowd: Crowd) -> Params:
    change = crowd.random.choice(
        (
            {"title": crowd.word()},
            {"description": crowd.word()},
            {"custom": {"colour": crowd.word()}},
            {"avatar_url": "https://example.com/a.png"},
            {"settings": {"slow_mode_s": 0, "retention_s": crowd.random.choice((0, 86_400))}},
        )
    )
    return crowd.here(**change)


def _set_role(crowd: Crowd) -> Params:
    role = crowd.random.choice(("admin", "moderator", "member", "reader"))
    return crowd.here(user=crowd.anybody(), role=role)


_ACTS: Final[Sequence[tuple[str, Callable[[Crowd], Params | None]]]] = (
    *(("message.send", _send),) * 6,
    *(("message.send", _reply),) * 2,
    *(("message.edit", lambda crowd: crowd.anywhere(text=crowd.word())),) * 4,
    ("message.edit", lambda crowd: crowd.anywhere(mentions=[crowd.anybody()])),
    *(("message.delete", lambda crowd: crowd.anywhere()),) * 2,
    ("message.delete", lambda crowd: crowd.anywhere(**{"for": "me"})),
    *(("message.react", lambda crowd: crowd.anywhere(reaction=crowd.random.choice(REACTIONS))),) * 4,
    *(("message.unreact", lambda crowd: crowd.anywhere(reaction=crowd.random.choice(REACTIONS))),) * 2,
    *(("message.pin", lambda crowd: crowd.anywhere()),) * 2,
    ("message.unpin", lambda crowd: crowd.anywhere()),
    ("read.mark", lambda crowd: crowd.anywhere()),
    ("delivered.mark", lambda crowd: crowd.anywhere()),
    ("read.mark_unread", lambda crowd: crowd.anywhere()),
    ("conversation.update", _update),
    ("conversation.set_role", _set_role),
    ("conversation.mute", lambda crowd: crowd.here(user=crowd.anybody())),
    ("conversation.unmute", lambda crowd: crowd.here(user=crowd.anybody())),
    ("conversation.remove_member", lambda crowd: crowd.here(user=crowd.anybody())),
    *(("conversation.add_members", lambda crowd: crowd.here(members=[crowd.anybody()])),) * 2,
    ("conversation.leave", lambda crowd: crowd.here()),
    ("conversation.set_preferences", lambda crowd: crowd.here(archived=crowd.random.random() < 0.5)),
)
