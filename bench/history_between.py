"""A page of fifty messages with other entries between them: reactions, edits, in turns.

    python -m bench.history_between [--between 0,1,4,19,40] [--calls 100]

A page skips them as it reads and looks at no more than twenty entries for each message that was asked for; where that
does not do it gives fewer, and says so. Told are how long it takes, how much MongoDB looks at, how many messages come.
"""

import json
from typing import Final

from bench.history_scene import scene
from bench.machine import CpuSince
from bench.page_load import Getter, get_pages, request
from bench.results import percentile
from bench.suite import Figure, Run, Scenario, main
from storage.mongo.page import EXAMINED_PER_MESSAGE

LIMIT: Final = 50


async def measure(run: Run) -> None:
    run.say("filling")
    conversations = {others: (run.options.messages, others) for others in run.options.between}
    async with scene(run.options.directory, conversations) as on:
        getter = await Getter.open(on.hub.port)
        for _ in run.rounds(warm=1):
            for others, filled in on.filled.items():
                asked = request(filled.conversation, on.token, before=filled.place("middle"))
                used = CpuSince(on.pids())
                _, times = await get_pages(on.hub.port, 1, run.options.calls, lambda one=asked: one)
                cpu = used.take()
                run.add("a page", percentile(times, 0.5), at=others)
                run.add("CPU of the hub", cpu["hub"].both_s / len(times) * 1e6, at=others)
                run.add("CPU of mongod", cpu["mongod"].both_s / len(times) * 1e6, at=others)
                run.add("messages", len(json.loads(await getter.get(asked))["items"]), at=others)
                run.add("documents examined", (await on.examined(getter.get(asked)))[0], at=others)
        getter.close()


SCENARIO = Scenario(
    name="history_between",
    title="A page of history with other entries between the messages",
    about="Fifty messages where so many reactions and edits are between two of them.",
    figures=[
        Figure("a page", "ms"),
        Figure("CPU of the hub", "µs"),
        Figure("CPU of mongod", "µs"),
        Figure("messages", "messages", better="higher"),
        Figure("documents examined", "documents", goal=LIMIT * EXAMINED_PER_MESSAGE),
    ],
    measure=measure,
    sizes="entries between two messages",
    full={"between": (0, 1, 4, 19, 40), "messages": 2_000, "calls": 100, "directory": ""},
    quick={"between": (0, 4, 40), "calls": 30},
)

if __name__ == "__main__":
    main(SCENARIO)
