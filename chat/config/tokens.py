"""The keys of `[token]` and `[subscription_token]`: whose signatures count."""

from dataclasses import dataclass
from typing import Annotated, Final

from chat.config.keys import Rule
from chat.config.values import NO_SECRET, Bytes, Pem, Seconds, Secret

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
ALGORITHMS = (*HMAC_ALGORITHMS, *RSA_ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA")

_EXAMPLE_KEY: Final = """\
[[token.keys]]
kid = "2026-03"
algorithm = "HS256"
key = "at least 32 random bytes"
"""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key of `[[token.keys]]`."""

    kid: Annotated[
        str, Rule("Matches the `kid` in a token's header.", pattern=r"[\x21-\x7e]{1,128}", required=True)
    ] = ""
    algorithm: Annotated[str, Rule("The one algorithm that this key verifies.", choices=ALGORITHMS, required=True)] = ""
    key: Annotated[
        Secret, Rule("The shared secret (HS…), or the public key in PEM (RS…, ES…, EdDSA).", required=True)
    ] = NO_SECRET


@dataclass(frozen=True, slots=True)
class TokenSection:
    hmac_secret_key: Annotated[
        Secret,
        Rule(
            "Secret shared with the application server that makes the tokens. At least 32 random bytes: `hubbub"
            " keys` makes one."
        ),
    ] = NO_SECRET
    hmac_algorithm: Annotated[str, Rule("The one algorithm of the HMAC keys.", choices=HMAC_ALGORITHMS)] = "HS256"
    hmac_previous_secret_key: Annotated[
        Secret,
        Rule("The HMAC secret before the last change, still accepted. Remove it when its last token has expired."),
    ] = NO_SECRET
    rsa_public_key: Annotated[Pem, Rule("RSA public key in PEM.")] = ""
    rsa_algorithm: Annotated[str, Rule("The one algorithm of the RSA key.", choices=RSA_ALGORITHMS)] = "RS256"
    ecdsa_public_key: Annotated[
        Pem, Rule("Public key in PEM on P-256, P-384 or P-521; the curve decides: ES256, ES384 or ES512.")
    ] = ""
    ed25519_public_key: Annotated[Pem, Rule("Ed25519 public key in PEM, for EdDSA.")] = ""
    keys: Annotated[
        tuple[TokenKey, ...],
        Rule(
            "Keys chosen by the `kid` of a token, for rotation: add the new one, let the application sign with "
            "it, remove the old one.",
            example=_EXAMPLE_KEY,
        ),
    ] = ()
    jwks_public_endpoint: Annotated[
        str,
        Rule(
            "URL of a JSON Web Key Set. Keys are fetched when a `kid` is new and refreshed in the background; "
            "redirects are not followed.",
            pattern=r"https?://\S+",
        ),
    ] = ""
    jwks_allow_private_network: Annotated[
        bool,
        Rule(
            "The key server may be at a private or loopback address and speak plain HTTP. False: HTTPS to public "
            "addresses only."
        ),
    ] = False
    jwks_refresh_interval: Annotated[
        Seconds, Rule("Age at which the key set is fetched again, in the background.", minimum=10.0)
    ] = 3600.0
    jwks_min_refresh_interval: Annotated[
        Seconds, Rule("Shortest time between two fetches, however many unknown `kid`s arrive.", minimum=1.0)
    ] = 10.0
    audience: Annotated[str, Rule("If set, a token's `aud` must be or contain it.")] = ""
    issuer: Annotated[str, Rule("If set, a token's `iss` must be it.")] = ""
    require_exp: Annotated[
        bool,
        Rule(
            "Refuse tokens without `exp`. False needs `server.allow_insecure_options` as well: such a token is "
            "good for ever."
        ),
    ] = True
    clock_skew: Annotated[
        Seconds,
        Rule(
            "How far `iat` and `nbf` may be ahead of this server's clock. `exp` gets no grace.",
            minimum=0.0,
            maximum=600.0,
        ),
    ] = 30.0
    max_length_bytes: Annotated[
        Bytes, Rule("Longer tokens are refused before they are looked at.", minimum=256, maximum=65536)
    ] = 8192
    user_id_pattern: Annotated[
        str,
        Rule(
            "Regular expression that a user's id (`sub`) must match as a whole. Whatever it says, an id is 1 to 64 "
            "visible ASCII characters.",
            required=True,
        ),
    ] = r"^[A-Za-z0-9_.:@|+-]{1,64}$"


@dataclass(frozen=True, slots=True)
class SubscriptionTokenSection(TokenSection):
    enabled: Annotated[
        bool, Rule("Verify subscription tokens with the keys of this table. False: with those of `[token]`.")
    ] = False
