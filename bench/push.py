"""Notifications: how many one worker sends, how soon, and whether a vendor that hangs is felt elsewhere.

Starts MongoDB, Redis, a hub, one `hubbub worker` and, in a process of their own, emulators of the vendors, all on
loopback. Users have a direct conversation with one unread message each, and a device with every provider. Measured are:

- pushes per second: a job for each device, made as the planner makes them and due at the same moment, until the last
  push was accepted. Beside it the bare sender in this process, as many pushes at a time, to the same emulator.
- from the insert of a message by the hub until its push was accepted, with `push.delay` in it.
- the lateness of FCM's lane alone, beside APNs that answers, and beside APNs that does not.
- what the planner makes of entries (see bench.push_planning).

    python -m bench.push [--quick] [--devices 2000] [--rounds 3] [--only throughput,latency,lanes,planning]
                         [--json FILE]
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.push_planning import measure_planning, report_planning
from bench.push_scene import APP, PROVIDERS, Reached, Scene, now_ms, scene
from bench.reconnect_storm import summary
from bench.results import number as shown
from bench.suite import Figure, Run, Scenario
from chat.push.credentials import AppKey
from chat.push.emulated import vendors_at
from chat.push.ports import address_of
from chat.push.sending import Accepted, Kind, Notification, Provider, Push
from chat.push.vendors import open_vendors

LEAD_MS = 1500
"""Jobs are there before they are due."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- pushes per second ---


async def bare(scene: Scene, provider: str, reached: Sequence[Reached], at_once: int) -> dict[str, float]:
    """The provider's own sender, and nothing else."""
    key = AppKey(Provider(provider), APP, "bench", await scene.credentials(provider), now_ms())
    waiting = iter(reached)
    refused = 0

    async with (
        open_vendors(vendors_at(scene.whereabouts)) as openers,
        openers[key.provider]((key,), "production") as to,
    ):

        async def one() -> None:
            nonlocal refused
            for device in waiting:
                refused += not isinstance(await to.send(push_to(device)), Accepted)

        await to.send(push_to(reached[0]))  # connects
        used, begun = time.process_time(), time.perf_counter()
        await asyncio.gather(*(one() for _ in range(at_once)))
        took, used = time.perf_counter() - begun, time.process_time() - used
    return {"per_s": len(reached) / took, "cpu_us": used / len(reached) * 1e6, "refused": refused}


def push_to(reached: Reached) -> Push:
    told = Notification(
        Kind.ALERT,
        job_id=f"00000000-0000-4000-8000-{reached.number:012d}",
        collapse_id=f"{reached.number:032d}",
        conversation=reached.conversation,
        upto=reached.offset,
        title="Somebody",
        body="Are you there?",
        badge=1,
        group="direct",
    )
    return Push(address_of(reached.device), told, time.time() + 3600)


async def by_worker(scene: Scene, provider: str, reached: Sequence[Reached]) -> dict[str, Any]:
    """The same devices, by jobs."""
    await scene.clear()
    due = now_ms() + LEAD_MS
    await scene.put(reached, [due] * len(reached))
    await asyncio.sleep(max(0.0, due - 200 - now_ms()) / 1000)
    before, asked = scene.cpu(), await scene.commands()
    arrived = await scene.arrived(provider, len(reached), within_s=60 + len(reached) / 20)
    used = {name: value - before[name] for name, value in scene.cpu().items()}
    asked = await scene.commands() - asked
    if not arrived:
        raise SystemExit(f"{provider}: nothing has arrived")
    took = max(arrived.values()) - due / 1000
    return {
        "per_s": len(arrived) / took,
        "missing": len(reached) - len(arrived),
        "commands": asked / len(arrived),
        "cpu_us": {name: value / len(arrived) * 1e6 for name, value in used.items()},
    }


async def measure_throughput(scene: Scene, devices: dict[str, list[Reached]], rounds: int) -> dict[str, Any]:
    at_once = scene.config.push.concurrency
    found: dict[str, Any] = {"at once": at_once}
    for provider, reached in devices.items():
        await by_worker(scene, provider, reached[:50])  # everything is connected then
        found[provider] = {"bare": [], "worker": []}
        for _ in range(rounds):
            found[provider]["bare"].append(await bare(scene, provider, reached, at_once))
            found[provider]["worker"].append(await by_worker(scene, provider, reached))
        say(f"{provider}: {[round(one['per_s']) for one in found[provider]['worker']]} /s")
    return found


# --- from the insert to the provider ---


async def caught_up(scene: Scene) -> None:
    """Return once the worker plans what is written just now: it has begun, and is through with what came before. Else
    that would be told to devices that are only made now.
    """
    (one,) = await scene.devices("webhook", await scene.conversations(["first"]))
    for _ in range(30):
        begun = time.monotonic()
        await scene.say(f"from-{one.device.user}", one.conversation)
        if await scene.arrived("webhook", 1, within_s=scene.config.push.delay + 2):
            return
        say(f"the worker is behind: {time.monotonic() - begun:.1f} s")
    raise SystemExit("the worker does not keep up")


async def measure_latency(scene: Scene, places: dict[str, list[Reached]], per_s: float) -> dict[str, Any]:
    """One message to each user, at a steady rate; users have one device each here."""
    await scene.clear()
    users = [one for group in zip(*places.values(), strict=True) for one in group]
    inserted: dict[int, int] = {}
    begun = time.monotonic()

    async def send(turn: int, to: Reached) -> None:
        await asyncio.sleep(max(0.0, begun + turn / per_s - time.monotonic()))
        message = await scene.say(f"from-{to.device.user}", to.conversation)
        inserted[to.number] = message["created_at"]

    await asyncio.gather(*(send(turn, to) for turn, to in enumerate(users)))
    until = time.monotonic() + 30
    while time.monotonic() < until and sum((await scene.lab.ask("counts")).values()) < len(users):
        await asyncio.sleep(0.1)
    took: dict[str, list[float]] = {}
    for provider, number, at in await scene.lab.ask("take"):
        if number in inserted:
            took.setdefault(provider, []).append(at * 1000 - inserted[number])
    every = [value for values in took.values() for value in values]
    return {
        "messages per s": per_s,
        "push.delay (ms)": round(scene.config.push.delay * 1000),
        "missing": len(users) - len(every),
        "all (ms)": summary(every),
        **{f"{provider} (ms)": summary(values) for provider, values in took.items()},
    }


# --- one lane beside another ---


async def lateness(scene: Scene, fcm: Sequence[Reached], other: Sequence[Reached], per_s: float) -> dict[str, float]:
    """Of FCM's pushes (ms after they were due), while as many are due at APNs."""
    await scene.clear()
    begin = now_ms() + LEAD_MS
    for reached in (fcm, other):
        await scene.put(reached, [begin + int(turn * 1000 / per_s) for turn in range(len(reached))])
    due = {one.number: begin + turn * 1000 / per_s for turn, one in enumerate(fcm)}
    arrived = await scene.arrived("fcm", len(fcm), within_s=30 + len(fcm) / per_s)
    return summary([at * 1000 - due[number] for number, at in arrived.items()])


async def measure_lanes(scene: Scene, devices: dict[str, list[Reached]], rounds: int, seconds: float) -> dict[str, Any]:
    per_s = 25.0
    count = min(len(devices["fcm"]), int(per_s * seconds))
    fcm, apns = devices["fcm"][:count], devices["apns"][:count]
    places = [(one.device.user, one.conversation, one.offset) for one in apns]
    credentials = await scene.credentials("apns")
    hanging = []
    for number in range(rounds):
        # Another app each time: its lane has not learnt yet that nobody answers.
        await scene.apps.add(f"hangs{number}", credentials, emulated=True)
        hanging.append(await scene.devices("apns", places, app=f"hangs{number}", install=f"hangs{number}"))
    await asyncio.sleep(6)  # until the worker has seen them
    found: dict[str, Any] = {"pushes per s": per_s, "alone": [], "beside APNs": [], "beside APNs that hangs": []}
    for number in range(rounds):
        found["alone"].append(await lateness(scene, fcm, (), per_s))
        found["beside APNs"].append(await lateness(scene, fcm, apns, per_s))
        await scene.lab.ask("hang", on=True)
        found["beside APNs that hangs"].append(await lateness(scene, fcm, hanging[number], per_s))
        await scene.clear()
        await scene.lab.ask("hang", on=False)
        if number + 1 < rounds:
            await asyncio.sleep(13)  # until those that hung are given up
    return found


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    wanted = set(options.only.split(","))
    result: dict[str, Any] = {"devices": options.devices, "rounds": options.rounds}
    begun = time.monotonic()
    async with scene() as deployment:
        say("setting the scene")
        names = [f"user{number}" for number in range(options.devices)]
        later = [f"later{number}" for number in range(options.messages if "latency" in wanted else 0)]
        places = await deployment.conversations([*names, *later])
        say(f"{len(places)} conversations after {time.monotonic() - begun:.0f} s")
        if "planning" in wanted:
            result["planning"] = await measure_planning(deployment, places[: options.devices], options)
        if "latency" in wanted:
            rows = places[options.devices :]
            each = len(rows) // len(PROVIDERS)
            await caught_up(deployment)
            spread = {
                provider: await deployment.devices(provider, rows[turn * each : (turn + 1) * each])
                for turn, provider in enumerate(PROVIDERS)
            }
            result["latency"] = await measure_latency(deployment, spread, options.per_s)
        if wanted - {"planning", "latency"}:
            await caught_up(deployment)
            devices = {
                one: await deployment.devices(one, places[: options.devices])
                for one in PROVIDERS
                if one in options.providers.split(",")
            }
            say(f"devices after {time.monotonic() - begun:.0f} s")
            if "throughput" in wanted:
                result["throughput"] = await measure_throughput(deployment, devices, options.rounds)
            if "lanes" in wanted:
                result["lanes"] = await measure_lanes(deployment, devices, options.rounds, options.seconds)
    result["load average"] = os.getloadavg()
    result["took (s)"] = time.monotonic() - begun
    return result


def report(result: dict[str, Any]) -> None:
    load = ", ".join(f"{one:.1f}" for one in result["load average"])
    print(f"{result['devices']} devices with each provider, {result['rounds']} rounds; load average {load}")
    if "throughput" in result:
        report_throughput(result["throughput"])
    if "latency" in result:
        report_latency(result["latency"])
    if "lanes" in result:
        report_lanes(result["lanes"])
    if "planning" in result:
        report_planning(result["planning"])


def report_throughput(found: dict[str, Any]) -> None:
    print(f"\npushes per second, {found['at once']} at a time (median of rounds; CPU in µs and commands a push)")
    for provider in PROVIDERS:
        if provider not in found:
            continue
        bare, worker = found[provider]["bare"], found[provider]["worker"]
        rate, floor = (statistics.median(one["per_s"] for one in some) for some in (worker, bare))
        cpu = {name: statistics.median(one["cpu_us"][name] for one in worker) for name in worker[0]["cpu_us"]}
        shown = "   ".join(f"{name} {value:.0f}" for name, value in cpu.items())
        print(
            f"{provider:>8} {rate:>6.0f} /s   bare sender {floor:>6.0f} /s   ratio {floor / rate:.1f}   "
            f"CPU: {shown}; bare sender {statistics.median(one['cpu_us'] for one in bare):.0f}   "
            f"commands {statistics.median(one['commands'] for one in worker):.2f}   "
            f"missing {sum(one['missing'] for one in worker)}"
        )


def report_latency(found: dict[str, Any]) -> None:
    print(
        f"\nfrom the insert until it was accepted, {found['messages per s']:.0f} messages per s, "
        f"push.delay of {found['push.delay (ms)']} ms included; missing {found['missing']}"
    )
    for name, one in found.items():
        if name.endswith("(ms)") and isinstance(one, dict):
            print(f"{name:>12}: p50 {one['p50']:.0f}   p99 {one['p99']:.0f}   max {one['max']:.0f}")


def report_lanes(found: dict[str, Any]) -> None:
    print(f"\nlateness of FCM's lane in ms, {found['pushes per s']:.0f} per s; p99 of each round")
    ways = ("alone", "beside APNs", "beside APNs that hangs")
    for way in ways:
        rounds = found[way]
        p99 = [one["p99"] for one in rounds]
        print(
            f"{way:>24}: p50 {statistics.median(one['p50'] for one in rounds):.0f}   "
            f"p99 {statistics.median(p99):.0f}   of {', '.join(f'{one:.0f}' for one in p99)}"
        )
    alone, beside, hangs = (statistics.median(one["p99"] for one in found[way]) for way in ways)
    print(f"{'p99':>24}: hangs to answers {hangs / beside:.2f}, hangs to alone {hangs / alone:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, under a minute")
    parser.add_argument("--devices", type=int, help="with each provider")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--messages", type=int, help="to measure latency with")
    parser.add_argument("--per-s", type=float, default=20.0, help="messages a second, for latency")
    parser.add_argument("--seconds", type=float, help="of lanes beside each other, in each turn")
    parser.add_argument("--group", type=int, help="members of the large group that is planned for")
    parser.add_argument("--only", default="throughput,latency,lanes,planning")
    parser.add_argument("--providers", default=",".join(PROVIDERS), help="for throughput")
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    usual = QUICK if options.quick else FULL
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    result = uvloop.run(measure(options))
    report(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1))


QUICK = {"devices": 120, "rounds": 1, "messages": 60, "seconds": 3.0, "group": 500}
FULL = {"devices": 2000, "rounds": 3, "messages": 1200, "seconds": 20.0, "group": 5000}

ALONE, BESIDE, HANGS = WAYS = ("alone", "beside APNs", "beside APNs that hangs")


async def in_suite(run: Run) -> None:
    result = await measure(Namespace(**vars(run.options), rounds=run.count))
    for provider, found in result.get("throughput", {}).items():
        if provider in PROVIDERS:
            for bare_one, worker in zip(found["bare"], found["worker"], strict=True):
                run.add(f"{provider}, bare sender", bare_one["per_s"])
                run.add(f"{provider}, worker", worker["per_s"])
                run.add(f"{provider}, CPU of all", sum(worker["cpu_us"].values()) / 1000)
                if worker["missing"]:
                    raise SystemExit(f"{provider}: {worker['missing']} pushes are missing")
    if "latency" in result:
        for share in ("p50", "p99"):
            run.add(f"from the insert, {share}", result["latency"]["all (ms)"][share])
        run.notes["push.delay, part of what the insert takes"] = f"{result['latency']['push.delay (ms)']} ms"
    for way in WAYS:
        for lane in result.get("lanes", {}).get(way, ()):
            run.add(f"p99 {way}", lane["p99"])
    for what, found in result.get("planning", {}).items():
        run.notes[f"planning, {what}"] = ", ".join(f"{name} {shown(value)}" for name, value in found.items())


SCENARIO = Scenario(
    name="push",
    title="Notifications",
    about="One worker and the vendors' emulators: pushes a second beside a bare sender, how soon after the insert, and "
    "how late one vendor's are beside another that answers or hangs.",
    figures=[
        *(
            figure
            for provider in PROVIDERS
            for figure in (
                Figure(
                    f"{provider}, worker", "/s", "higher", baseline=f"{provider}, bare sender", chart="pushes a second"
                ),
                Figure(f"{provider}, bare sender", "/s", "higher", chart="pushes a second"),
            )
        ),
        *(
            Figure(f"{provider}, CPU of all", "ms", chart="CPU of worker and MongoDB, ms a push")
            for provider in PROVIDERS
        ),
        *(Figure(f"from the insert, {share}", "ms", chart="until accepted, ms") for share in ("p50", "p99")),
        *(
            Figure(f"p99 {way}", "ms", baseline="" if way == ALONE else f"p99 {ALONE}", chart="how late FCM's are, ms")
            for way in WAYS
        ),
    ],
    measure=in_suite,
    full={
        **{name: value for name, value in FULL.items() if name != "rounds"},
        "per_s": 20.0,
        "only": "throughput,latency,lanes",
        "providers": ",".join(PROVIDERS),
    },
    quick={name: value for name, value in QUICK.items() if name != "rounds"},
)


if __name__ == "__main__":
    main()
