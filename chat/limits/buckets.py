"""Token buckets by key, bounded."""

from collections import OrderedDict
from typing import Final

from realtime.rates import Bucket, Rate

MAX_KEYS: Final = 50_000


class Buckets:
    """One bucket per key, at most `most`: the one not used longest is forgotten first, and so is full again."""

    def __init__(self, rate: Rate, *, most: int = MAX_KEYS) -> None:
        self.rate = rate
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Take a token: 0. Where there is none: in how many seconds there will be one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket()
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(self.rate, now)

    def bucket(self, key: str) -> Bucket:
        """To look at; a full one where nothing is known."""
        return self._buckets.get(key) or Bucket()
