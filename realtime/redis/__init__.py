"""The ports of the engine on Redis: bus, streams, presence and processes. Knows nothing of what channels mean."""
