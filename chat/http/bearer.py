"""Who calls: the bearer token of a request, verified like that of a connect."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from chat.auth import Claims, KeysUnavailable, TokenExpired, TokenInvalid, TokenVerifier, UserBlocked
from chat.http.problems import Refusal
from realtime.protocol import codes
from realtime.protocol.codes import ClientError


async def bearer(request: web.Request, verifier: TokenVerifier, failed: Callable[[], ClientError | None]) -> Claims:
    """The claims of the request's token, which is in the header `Authorization` and nowhere else: URLs end in logs.

    Raises ClientError: 101 without a good token, 103 for a blocked user, 109 for an expired or revoked token, 1000
    while it cannot be known. `failed` hears of a bad token, and may have a refusal for who sends many.
    """
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    scheme, _, token = given[0].strip().partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise _refusal("a token is needed, as Authorization: Bearer", "")
    try:
        claims = await verifier.connection(token.strip())
    except TokenExpired:
        raise _refusal("the token is expired; fetch another one", "expired", codes.TOKEN_EXPIRED) from None
    except TokenInvalid as error:
        raise failed() or _refusal(f"the token {error.reason}", error.reason) from None
    except UserBlocked:
        raise ClientError(codes.PERMISSION_DENIED, "the user is blocked") from None
    except KeysUnavailable:
        raise ClientError(codes.UNAVAILABLE, "whether the token is good cannot be known just now") from None
    if claims.anonymous:
        raise _refusal("the token names no user", "no sub")
    return claims


def _refusal(detail: str, reason: str, code: codes.ErrorCode = codes.UNAUTHORIZED) -> Refusal:
    """401 in the words of RFC 6750: without a token the scheme alone, else what is wrong with it."""
    challenge = 'Bearer realm="hubbub"'
    if reason:
        quotable = "".join(char for char in reason if char.isascii() and char.isprintable() and char not in '"\\')
        challenge += f', error="invalid_token", error_description="{quotable}"'
    return Refusal(HTTPStatus.UNAUTHORIZED, code, detail, headers={hdrs.WWW_AUTHENTICATE: challenge})
