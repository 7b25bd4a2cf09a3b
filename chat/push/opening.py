"""Push in a worker: from the log's entries to the vendors. Opened in order, closed in reverse."""

import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import get_args

import structlog
from prometheus_client import CollectorRegistry

from chat.config import Config
from chat.push.apps import open_apps
from chat.push.configured import breakers_of, delivery_of, milliseconds, planning_of, policy_of
from chat.push.delivery import Delivery
from chat.push.dispatcher import Dispatcher, DispatcherSettings
from chat.push.emulated import vendors_at
from chat.push.lab.whereabouts import whereabouts
from chat.push.metrics import PushMetrics
from chat.push.planner import Planner
from chat.push.ports import States, lane_name
from chat.push.rendering import RenderingSettings
from chat.push.senders import LaneSenders, open_senders
from chat.push.sending import Environment, Lane, Provider, WebKeys
from chat.push.sweeping import plan_since
from chat.push.together import devices_together, traces_together
from chat.push.tracing import Tracer
from chat.push.trials import WithTrials
from chat.push.unreading import Badges, BadgesTogether, StoredGroups, StoredUnreads
from chat.push.vendors import open_vendors, vendors_of
from chat.push.waking import Waker
from chat.push.webpush.encryption import seal_for
from chat.sealing import Sealer
from storage.mongo.together import UsersTogether
from storage.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pushing:
    """What runs until the block of `open_pushing` ends."""

    planner: Planner
    dispatcher: Dispatcher
    store: Store
    life_ms: int
    clock_ms: Callable[[], int]

    async def catch_up(self) -> None:
        """Plan what nobody was there to plan, for the follower to begin with. Raises StorageError."""
        found = await plan_since(self.store, self.planner, self.clock_ms() - self.life_ms)
        log.info("push_caught_up", conversations=found)


@asynccontextmanager
async def open_pushing(
    config: Config,
    store: Store,
    *,
    badges: Badges,
    states: States,
    registry: CollectorRegistry,
    tell: Callable[[bytes], None],
    process: str,
    clock_ms: Callable[[], int],
) -> AsyncIterator[Pushing]:
    """`tell` sends control messages to the other processes. Raises StorageError, and NoWhereabouts where HUBBUB_LAB
    leads to nothing.
    """
    push = config.push
    policy = policy_of(push)
    # Emulators of this machine, or nobody but the vendors themselves.
    lab = whereabouts()
    vendors = vendors_of(push) if lab is None else vendors_at(lab, vendors_of(push))
    async with (
        open_apps(store, Sealer.from_config(config), clock_ms=clock_ms) as apps,
        open_vendors(vendors) as openers,
        open_senders(apps, openers) as senders,
        store.push_jobs as jobs,
        devices_together(store.devices) as devices,
        traces_together(store.push_traces) as traces,
        UsersTogether(store.notifying.of_users) as preferences,
        BadgesTogether(badges) as badge,
        StoredUnreads(store, badge) as unreads,
        Tracer(store.push_traces) as tracer,
    ):
        metrics = PushMetrics(registry)
        metrics.traces_lost = lambda: tracer.lost
        tracer.on_trace = metrics.count
        delivery = Delivery(
            jobs,
            store.push_pauses,
            tracer,
            devices,
            preferences,
            WithTrials(unreads, badge),
            states,
            senders,
            clock_ms=clock_ms,
            random=random.random,
            seal=_seal,
            on_accepted=metrics.accepted,
            settings=delivery_of(push),
            policy=policy,
            rendering=RenderingSettings(deployment=store.epoch, language=push.language, link=push.link),
        )
        dispatcher = Dispatcher(
            jobs,
            store.push_pauses,
            delivery,
            clock_ms=clock_ms,
            random=random.random,
            settings=DispatcherSettings(concurrency=push.concurrency),
            breakers=breakers_of(push),
        )
        metrics.lanes = dispatcher.status
        planner = Planner(
            jobs,
            traces,
            StoredGroups(store),
            store.members,
            devices,
            preferences,
            clock_ms=clock_ms,
            wake=Waker(tell, process=process, monotonic=time.monotonic, own=dispatcher.wake),
            policy=policy,
            settings=planning_of(push),
        )
        apps.on_changed = _mending(senders, dispatcher, store, clock_ms)
        async with dispatcher:
            yield Pushing(planner, dispatcher, store, milliseconds(push.life), clock_ms)


def _mending(
    senders: LaneSenders, dispatcher: Dispatcher, store: Store, clock_ms: Callable[[], int]
) -> Callable[[frozenset[tuple[Provider, str]]], Awaitable[None]]:
    """Whoever changes keys has mended something: what was held up for the old ones is sent at once by the new ones."""

    async def mended(changed: frozenset[tuple[Provider, str]]) -> None:
        await senders.renew(changed)
        for provider, app in sorted(changed):
            for environment in get_args(Environment):
                lane = lane_name(Lane(provider, app, environment))
                await store.push_pauses.lift(lane)
                if dispatcher.reset(lane):
                    await store.push_jobs.hurry(lane, now=clock_ms())
                    dispatcher.wake()

    return mended


def _seal(keys: WebKeys, plaintext: bytes) -> bytes:
    return seal_for(keys, plaintext, random=secrets.token_bytes)
