"""People who use the cluster while faults happen: they send, read, come and go, and never trust an answer that is none.

A send is repeated with the same key until its outcome is known: on the same socket, on another hub, by REST, sometimes
before the first answer is there. Some keys are those of other people, who must not be answered with each other's
messages.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from chaos.device import Address, Outcome, Rest, SdkDevice, items_of
from chaos.history import Device, History, Member, Page, Send, Stall, now
from support.waiting import eventually
from support.wire_client import wire_client

TICK_S: Final = 0.05
LATE_S: Final = 0.2
"""When the harness' own loop is so late, it is written down."""

SUMMED_UP_S: Final = 1.5
"""Reactions are told of in entries of their own, a second later at most."""

Token = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much happens. `sends_per_s` over all; `hot` is the share that goes to one conversation."""

    users: int = 12
    devices: int = 20
    conversations: int = 5
    roamers: int = 2
    sends_per_s: float = 15.0
    hot: float = 0.5
    burst: float = 0.12
    hedged: float = 0.08
    by_rest: float = 0.15
    borrowed: float = 0.04
    most_waiting: int = 300
    gives_up_s: float = 60.0
    """How long a send is repeated."""


@dataclass
class Workload:
    """The users of one run. `heads` is the highest acknowledged offset of each conversation."""

    hubs: Sequence[Address]
    history: History
    random: Random
    token: Token
    tag: str
    plan: Plan = field(default_factory=Plan)
    conversations: list[str] = field(default_factory=list)
    members: dict[str, list[str]] = field(default_factory=dict)
    roaming: dict[str, list[str]] = field(default_factory=dict)
    """Who comes and goes, by conversation."""
    devices: list[SdkDevice] = field(default_factory=list)
    heads: dict[str, int] = field(default_factory=dict)
    acked: int = 0
    last_ok: dict[str, int] = field(default_factory=dict)
    """When each hub last acknowledged something."""
    sending: bool = True
    _keys: int = 0
    _orders: int = 0
    _recent: list[tuple[str, str, str, int]] = field(default_factory=list)
    _sends: set[asyncio.Task[Any]] = field(default_factory=set)
    _changing: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rest = Rest(self.token)

    @property
    def users(self) -> list[str]:
        return [f"{self.tag}-u{number}" for number in range(1, self.plan.users + 1)]

    @property
    def stranger(self) -> str:
        return f"{self.tag}-stranger"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everybody at work until the block ends, or `stop`."""
        try:
            await self._create()
            await self._connect()
            async with asyncio.TaskGroup() as group:
                everybody = (self._send_on(), self._read_on(), self._pry(), self._watch())
                self._changing = [group.create_task(one) for one in (self._roam(), self._change())]
                tasks = [*self._changing, *(group.create_task(one) for one in everybody)]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            for task in self._sends:
                task.cancel()
            await asyncio.gather(*self._sends, *(device.close() for device in self.devices), return_exceptions=True)
            await self.rest.close()

    async def quiet(self, within_s: float) -> None:
        """Nobody starts anything new; wait until what was sent is answered or given up, and summed up."""
        self.sending = False
        for task in self._changing:
            task.cancel()
        if self._sends:
            _, late = await asyncio.wait(self._sends, timeout=within_s)
            # Given up. What is acknowledged after the logs have been read would look as if it were lost.
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.sleep(SUMMED_UP_S)

    def behind(self, heads: dict[str, int]) -> list[str]:
        """Who is not connected, not subscribed, or has not got so far."""
        found: list[str] = []
        for device in self.devices:
            name = device.about.device
            if not device.connected:
                found.append(f"{name} is not connected")
                continue
            if device.filling:
                found.append(f"{name} is paging")
            for conv, members in self.members.items():
                if device.about.user not in members or device.about.user in self.roaming.get(conv, ()):
                    continue
                at = device.at.get(conv)
                if at is None:
                    found.append(f"{name} is not subscribed to {conv}")
                elif at < heads.get(conv, 0):
                    found.append(f"{name} is at {at} of {heads[conv]} in {conv}")
        return found

    # --- the beginning ---

    async def _create(self) -> None:
        users, random = self.users, self.random
        steady, roamers = users[: -self.plan.roamers or None], users[len(users) - self.plan.roamers :]
        for number in range(self.plan.conversations):
            some = steady if number == 0 else random.sample(steady, k=min(5, len(steady)))
            owner, visitors = some[0], roamers if number in (1, 2) else []
            answer = await self._sure(
                owner,
                "conversation.create",
                kind="group",
                members=[*some, *visitors],
                idempotency_key=f"{self.tag}-{number}",
            )
            conv = answer["conversation"]["id"]
            self.conversations.append(conv)
            self.members[conv] = [*some, *visitors]
            self.roaming[conv] = list(visitors)
            self.heads[conv] = 0

    async def _sure(self, user: str, method: str, /, **params: Any) -> Any:
        """A call that must succeed, repeated until it does."""
        outcome = Outcome("info")
        for attempt in range(60):
            outcome = await self.rest.rpc(self.hubs[attempt % len(self.hubs)], user, method, **params)
            if outcome.type == "ok":
                return outcome.answer
            await asyncio.sleep(0.3)
        raise RuntimeError(f"{method}: {outcome}")

    async def _connect(self) -> None:
        for number in range(self.plan.devices):
            user = self.users[number % len(self.users)]
            roams = any(user in visitors for visitors in self.roaming.values())
            about = Device(now(), f"{user}/{number // len(self.users)}", user, roams=roams)
            device = SdkDevice(about, self.history, self.rest, self.hubs, number, self.token, protobuf=number % 3 == 1)
            self.devices.append(device)
            await device.open()
        self.history.add(Device(now(), self.stranger, self.stranger, stranger=True))
        await eventually(lambda: not self.behind({}), within_s=60)

    # --- sending ---

    async def _send_on(self) -> None:
        clock = asyncio.get_running_loop().time
        due_at = clock()
        while self.sending:
            due_at = max(due_at + self.random.expovariate(self.plan.sends_per_s), clock() - 1.0)
            await asyncio.sleep(max(0.0, due_at - clock()))
            if len(self._sends) < self.plan.most_waiting and self.sending:
                self._start_sends()

    def _start_sends(self) -> None:
        random = self.random
        hot = random.random() < self.plan.hot
        conv = self.conversations[0] if hot else random.choice(self.conversations)
        devices = [device for device in self.devices if device.about.user in self.members[conv]]
        device = random.choice(devices)
        for _ in range(3 if random.random() < self.plan.burst else 1):
            task = asyncio.create_task(self._send(device, conv, self._key(conv, device.about.user)))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    def _key(self, conv: str, user: str) -> str:
        if self.random.random() < self.plan.borrowed:
            others = [key for of, by, key, _ in self._recent if of == conv and by != user]
            mine = {key for of, by, key, _ in self._recent if of == conv and by == user}
            if others and (key := self.random.choice(others)) not in mine:
                return key
        self._keys += 1
        return f"{self.tag}-{self._keys}"

    async def _send(self, device: SdkDevice, conv: str, key: str) -> None:
        """One message until its outcome is known, or nobody cares any more."""
        self._orders += 1
        order, user = self._orders, device.about.user
        clock = asyncio.get_running_loop().time
        deadline, attempt = clock() + self.plan.gives_up_s, 0
        while True:
            attempt += 1
            hedge: asyncio.Task[Outcome] | None = None
            by_socket = device.connected and (attempt == 1 or self.random.random() < 0.5)
            if attempt == 1 and self.random.random() < self.plan.by_rest:
                by_socket = False
            if attempt == 1 and self.random.random() < self.plan.hedged:
                hedge = asyncio.create_task(self._attempt(device, conv, key, order, attempt + 1000, by_socket=False))
                self._sends.add(hedge)
                hedge.add_done_callback(self._sends.discard)
            outcome = await self._attempt(device, conv, key, order, attempt, by_socket=by_socket)
            if hedge is not None:
                other = await hedge
                outcome = other if outcome.type != "ok" else outcome
            if outcome.type == "ok":
                self._recent.append((conv, user, key, outcome.answer["message"]["offset"]))
                del self._recent[:-200]
                return
            if outcome.type == "fail" and outcome.code not in (111, 429):
                return
            if clock() > deadline:
                return
            await asyncio.sleep(self.random.uniform(0.05, 0.4) * min(attempt, 5))

    async def _attempt(
        self, device: SdkDevice, conv: str, key: str, order: int, attempt: int, *, by_socket: bool
    ) -> Outcome:
        user = device.about.user
        hub = device.hub if by_socket else self.random.choice(self.hubs)
        connection = device.connection if by_socket else ""
        common: dict[str, Any] = {"user": user, "conv": conv, "key": key, "attempt": attempt}

        def note(kind: Any, **more: Any) -> None:
            self.history.add(
                Send(
                    now(), kind, device.about.device, hub=hub.name, connection=connection, order=order, **common, **more
                )
            )

        note("invoke")
        params = {"idempotency_key": key, "text": f"{key} by {user}"}
        if by_socket:
            outcome = await device.rpc("message.send", conversation=conv, **params)
        else:
            outcome = await self.rest.call(hub, user, "POST", f"/v1/conversations/{conv}/messages", json=params)
        if outcome.type != "ok":
            note(outcome.type, code=outcome.code, why=outcome.why[:80])
            return outcome
        message = outcome.answer["message"]
        note(
            "ok",
            id=message["id"],
            offset=message["offset"],
            sender=message["sender"],
            duplicate=outcome.answer["duplicate"],
        )
        self.acked += 1
        self.last_ok[hub.name] = now()
        self.heads[conv] = max(self.heads[conv], message["offset"])
        return outcome

    # --- what else people do ---

    async def _read_on(self) -> None:
        """Read pages, from anywhere."""
        while True:
            await asyncio.sleep(self.random.uniform(0.1, 0.5))
            conv, hub = self.random.choice(self.conversations), self.random.choice(self.hubs)
            user = self.random.choice(self.members[conv])
            head, place = self.heads[conv], self.random.randrange(4)
            query: dict[str, int | str] = {"limit": self.random.choice((10, 50))}
            if place and head:
                query[("after", "before", "around")[place - 1]] = self.random.randint(1, head)
            asked = now()
            outcome = await self.rest.page(hub, user, conv, **query)
            if outcome.type == "ok":
                self.history.add(Page(now(), asked, user, user, hub.name, conv, items_of(outcome.answer)))

    async def _roam(self) -> None:
        """Take somebody out of a conversation, let them in again."""
        places = [(conv, user) for conv, visitors in self.roaming.items() for user in visitors]
        out: set[tuple[str, str]] = set()
        while places:
            await asyncio.sleep(self.random.uniform(0.8, 2.0))
            conv, user = place = self.random.choice(places)
            owner, came = self.members[conv][0], place in out
            self.history.add(Member(now(), "invoke", conv, user, came))
            hub = self.random.choice(self.hubs)
            if came:
                outcome = await self.rest.rpc(hub, owner, "conversation.add_members", conversation=conv, members=[user])
            else:
                outcome = await self.rest.rpc(hub, owner, "conversation.remove_member", conversation=conv, user=user)
            self.history.add(Member(now(), "ok" if outcome.type == "ok" else "info", conv, user, came))
            if outcome.type == "ok":
                (out.discard if came else out.add)(place)

    async def _change(self) -> None:
        """Edit, react, pin, and now and then delete what was said."""
        while True:
            await asyncio.sleep(self.random.uniform(0.4, 1.0))
            if not self._recent:
                continue
            conv, user, key, offset = self.random.choice(self._recent)
            hub, what = self.random.choice(self.hubs), self.random.random()
            target = {"conversation": conv, "offset": offset}
            if what < 0.4:
                await self.rest.rpc(hub, user, "message.edit", **target, text=f"{key} edited")
            elif what < 0.9:
                await self.rest.rpc(hub, user, "message.react", **target, reaction="👍")
            else:
                await self.rest.rpc(hub, user, "message.delete", **target)

    async def _pry(self) -> None:
        """Somebody who is in no conversation asks for all of them, and for their pages."""
        while True:
            await asyncio.sleep(self.random.uniform(1.0, 2.5))
            hub, conv = self.random.choice(self.hubs), self.random.choice(self.conversations)
            asked = now()
            outcome = await self.rest.page(hub, self.stranger, conv)
            if outcome.type == "ok":
                self.history.add(
                    Page(now(), asked, self.stranger, self.stranger, hub.name, conv, items_of(outcome.answer))
                )
            await self._listen_in(hub)

    async def _listen_in(self, hub: Address) -> None:
        """Resume what was never one's own."""
        from chaos.reading import note_pushes

        subs = {f"conv:{conv}": {"recover": True, "epoch": "", "offset": 0} for conv in self.conversations}
        try:
            async with asyncio.timeout(3.0), wire_client(hub.websocket) as client:
                await client.connect(self.token(self.stranger), subs=subs)
                await asyncio.sleep(0.5)
                note_pushes(client, self.history, self.stranger, hub.name)
        except (OSError, TimeoutError, KeyError, ExceptionGroup):
            return  # no answer is not the news here
        except Exception as error:
            if type(error).__module__.startswith("aiohttp"):
                return
            raise

    async def _watch(self) -> None:
        """Notice when the harness itself was too busy to measure anything."""
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(TICK_S)
            if (late_s := clock() - before - TICK_S) > LATE_S:
                self.history.add(Stall(now(), round(late_s, 3)))
