"""Whether hubs hold after a fault what they held before. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from chaos.history import Sample
from chaos.verdict import Verdict

SHARE: Final = 1.1
DESCRIPTORS: Final = 16
"""Besides the share: pools that have grown to what the load needs, sockets that change hubs."""
RESIDENT_BYTES: Final = 64 << 20
"""Besides the share: a process that has just started is still filling its caches."""


def check_resources(samples: Sequence[Sample], verdict: Verdict) -> None:
    """Descriptors and memory of all hubs together: clients may have changed places."""
    before, after = _latest(samples, "before"), _latest(samples, "after")
    if not before or not after:
        return
    for what, allowance in (("descriptors", DESCRIPTORS), ("resident_bytes", RESIDENT_BYTES)):
        held = sum(getattr(sample, what) for sample in before.values())
        holds = sum(getattr(sample, what) for sample in after.values())
        if holds > held * SHARE + allowance:
            verdict.broke("I8", "not given back", f"{what}: {held} before, {holds} after")


def _latest(samples: Sequence[Sample], phase: str) -> dict[str, Sample]:
    """The last sample of each hub in a phase."""
    found: dict[str, Sample] = defaultdict()
    for sample in samples:
        if sample.phase == phase:
            found[sample.hub] = sample
    return found
