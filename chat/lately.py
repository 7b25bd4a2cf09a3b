"""What was made of the last few objects, by which object it is: for results that several share."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

KEPT: Final = 8


class Lately(Generic[K, V]):
    """Makes something of an object once, as long as it comes again before `KEPT` others. The objects must not change.

    They are kept alive meanwhile, so nothing else can be where they are.
    """

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._made: OrderedDict[int, tuple[K, V]] = OrderedDict()

    def __call__(self, of: K) -> V:
        """What is made of it. Raises what making it does."""
        known = self._made.get(id(of))
        if known is None:
            known = self._made[id(of)] = (of, self._make(of))
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        return known[1]
