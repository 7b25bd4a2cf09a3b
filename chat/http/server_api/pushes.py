"""`push_trace`: why devices rang, or did not, of everybody."""

from chat.http.deps import HttpDeps
from chat.http.server_api import requests, results
from chat.usecases.failures import told
from storage.model.push import Trace


class Pushes:
    def __init__(self, deps: HttpDeps) -> None:
        self._store = deps.store

    async def trace(self, request: requests.PushTrace) -> results.PushSteps:
        """Of one message; an unknown one has no steps."""
        with told():
            found = await self._store.push_traces.of_message(
                request.conversation, request.offset, user=request.user or "", device=request.device or ""
            )
        return results.PushSteps([_result(one) for one in found])


def _result(trace: Trace) -> results.PushTraced:
    return results.PushTraced(
        at=trace.at,
        step=trace.step.value,
        outcome=trace.outcome,
        reason=trace.reason,
        since=trace.since,
        upto=trace.upto,
        user=trace.user,
        device=trace.device,
        provider=trace.lane.partition("|")[0],
        until=trace.until or 0,
        attempt=trace.attempt,
        job=trace.job,
        provider_id=trace.provider_id,
    )
