"""The real-time engine: connections, channels and fan-out. Knows strings and bytes, neither chat nor MongoDB."""
