"""What processes tell each other about what they remember: `chat.usecases.ports.Outdating` over the engine."""

from typing import Final

from chat.usecases.blocks import BlockLists
from realtime.engine import Engine

BLOCKS_NOTICE: Final = "blocks"


class EngineOutdating:
    """Drops here what others changed, and tells them what changed here."""

    def __init__(self, lists: BlockLists) -> None:
        self._lists = lists
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Speak through this engine from now on. Before that there is nobody to tell."""
        self._engine = engine
        engine.operations.on_notice(BLOCKS_NOTICE, self._blocks_changed)

    def blocks(self, user: str) -> None:
        if self._engine is not None:
            self._engine.operations.notify(BLOCKS_NOTICE, user.encode())

    def _blocks_changed(self, data: bytes) -> None:
        self._lists.forget(data.decode(errors="replace"))
