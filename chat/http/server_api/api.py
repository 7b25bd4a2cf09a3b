"""The methods of the server API."""

from typing import Final

API_METHODS: Final[tuple[str, ...]] = ()
