"""The keys of `[admission]`: who is let in while the process is busy. What is connected comes first."""

from dataclasses import dataclass
from typing import Annotated

from chat.config.keys import Rule
from chat.config.values import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class AdmissionSection:
    upgrades_per_second: Annotated[
        int,
        Rule(
            "New connections that one process takes a second, in the long run. More wait up to two seconds, then they "
            "get 503 and Retry-After. 0: no limit.",
            minimum=0,
            maximum=100_000,
        ),
    ] = 500
    burst: Annotated[
        int, Rule("New connections that are taken at once after a quiet time.", minimum=1, maximum=100_000)
    ] = 100
    connecting: Annotated[
        int,
        Rule(
            "Connect commands that one process answers at the same time; while so many are, nobody new is taken. Fewer "
            "while one of them takes longer than a second.",
            minimum=1,
            maximum=100_000,
        ),
    ] = 200
    loop_lag: Annotated[
        Seconds,
        Rule(
            "While the event loop is later than this, fewer are taken: a third less with every tenth of a second, down "
            "to one in fifty.",
            minimum=0.01,
            maximum=10.0,
        ),
    ] = 0.2
    memory: Annotated[
        Bytes, Rule("While the process uses more memory than this, nobody new is taken. 0: no limit.", minimum=0)
    ] = 0
