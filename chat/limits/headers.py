"""The header fields that tell a REST client its limits (IETF draft "RateLimit header fields for HTTP"). Pure."""

import math
from collections.abc import Sequence

from realtime.rates import Bucket, Rate

Policy = tuple[str, Rate]


def rate_limit_fields(policies: Sequence[tuple[str, Rate, Bucket]], now: float) -> dict[str, str]:
    """`RateLimit-Policy` says what may be asked for, `RateLimit` what is left of it. Structured fields (RFC 9651).

    `q` requests at once and, in the long run, in `w` seconds; `r` are left, and in `t` seconds there will be `q` again.
    """
    if not policies:
        return {}
    told = ", ".join(f'"{name}";q={rate.burst};w={max(1, math.ceil(rate.full_s))}' for name, rate, _ in policies)
    left = ", ".join(
        f'"{name}";r={bucket.left(rate, now)};t={math.ceil(bucket.level_s(now))}' for name, rate, bucket in policies
    )
    return {"RateLimit-Policy": told, "RateLimit": left}
