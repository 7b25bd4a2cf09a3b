"""Who calls: the bearer token of a request, verified like that of a connect."""

from http import HTTPStatus

from aiohttp import hdrs, web

from chat.auth import Claims, KeysUnavailable, TokenExpired, TokenInvalid, TokenVerifier
from chat.http.problems import Refusal
from realtime.protocol import codes
from realtime.protocol.codes import ClientError


async def bearer(request: web.Request, verifier: TokenVerifier) -> Claims:
    """The claims of the request's token, which is in the header `Authorization` and nowhere else: URLs end in logs.

    Raises ClientError: 101 without a good token, 109 for an expired one, 1000 while keys cannot be had.
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
        raise _refusal(f"the token {error.reason}", error.reason) from None
    except KeysUnavailable:
        raise ClientError(codes.UNAVAILABLE, "the keys to verify the token are not to be had") from None
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
