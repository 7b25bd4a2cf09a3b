"""What Centrifugo does not have: users' profiles, and every method of `/v1/rpc` on behalf of a user."""

from chat.calls import Calls
from chat.http.deps import HttpDeps
from chat.http.server_api import requests
from chat.http.server_api.answering import within
from chat.http.server_api.results import RpcResult
from chat.methods import Decoder, method
from chat.vocabulary.people import UserResult, UserUpsert
from realtime.protocol.messages import EMPTY


class Product:
    def __init__(self, deps: HttpDeps, calls: Calls) -> None:
        self._deps = deps
        self._calls = calls
        self._decoder = Decoder()

    async def user_upsert(self, request: UserUpsert) -> UserResult:
        """Create a user, or change what is given of one."""
        return await self._deps.calls.service.people.upsert(request)

    async def rpc(self, request: requests.Rpc) -> RpcResult:
        """`{user, method, params}` → `{data}`: the method's parameters and result, and the user's own rights."""
        found = method(request.method)
        with within("params"):
            bound = self._decoder.decode(found.name, request.params)
        await self._deps.calls.service.arrivals.arrived(request.user, EMPTY)
        with within("params"):
            return RpcResult(await self._calls.run(request.user, found, bound))
