"""What a worker counts of push, on the registry of its process: decisions, answers, how late it is, what it gave up."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chat.push.lanes import LaneStatus
from storage.model.push import Step, Trace

_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class PushMetrics:
    """`count` takes every step of every push as it is traced. `lanes` and `traces_lost` are asked when the registry is
    scraped.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """One on each registry."""
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._answers: Counter[tuple[str, str, str]] = Counter()
        self._ended: Counter[str] = Counter()
        self.traces_lost: Callable[[], int] = lambda: 0
        self.lanes: Callable[[], Iterable[LaneStatus]] = tuple
        self._accepted = Histogram(
            "hubbub_push_accepted_delay_seconds",
            "From the moment a notification was due until its provider had accepted it.",
            buckets=_SECONDS,
            registry=registry,
        )
        registry.register(_Collector(self))

    def count(self, trace: Trace) -> None:
        match trace.step:
            case Step.DECIDED:
                self._decisions[trace.outcome, trace.reason] += 1
            case Step.ANSWERED:
                kind, _, outcome = trace.outcome.partition(":")
                self._answers[trace.lane.partition("|")[0], kind, outcome] += 1
            case Step.ENDED:
                self._ended[trace.outcome] += 1
            case Step.PLANNED | Step.CONFIRMED:
                pass  # by the planner and by devices

    def accepted(self, delay_s: float) -> None:
        """A provider took one over, so long after it was due."""
        self._accepted.observe(max(0.0, delay_s))

    def collect(self) -> Iterator[Metric]:
        decisions = CounterMetricFamily(
            "hubbub_push_decisions", "What the rules said about devices, and why.", labels=("outcome", "reason")
        )
        for (outcome, reason), count in sorted(self._decisions.items()):
            decisions.add_metric((outcome, reason), count)
        yield decisions
        answers = CounterMetricFamily(
            "hubbub_push_answers", "What providers answered.", labels=("provider", "kind", "outcome")
        )
        for labels, count in sorted(self._answers.items()):
            answers.add_metric(labels, count)
        yield answers
        ended = CounterMetricFamily("hubbub_push_ended", "Jobs that were not sent to their end.", labels=("outcome",))
        for outcome, count in sorted(self._ended.items()):
            ended.add_metric((outcome,), count)
        yield ended
        yield CounterMetricFamily(
            "hubbub_push_traces_lost", "Steps that could not be written down.", value=self.traces_lost()
        )
        yield from self._of_lanes()

    def _of_lanes(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("hubbub_push_running", "Pushes under way.", labels=("lane",))
        left_alone = GaugeMetricFamily(
            "hubbub_push_lane_open", "1 while a lane is left alone because its provider or key fails.", labels=("lane",)
        )
        suspect = GaugeMetricFamily(
            "hubbub_push_lane_suspect",
            "1 while so many devices of a lane were said to be gone that none is believed.",
            labels=("lane",),
        )
        for lane in self.lanes():
            running.add_metric((lane.lane,), lane.running)
            left_alone.add_metric((lane.lane,), int(lane.state != "closed"))
            suspect.add_metric((lane.lane,), int(lane.suspect_since is not None))
        yield from (running, left_alone, suspect)


class _Collector(Collector):
    def __init__(self, metrics: PushMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()
