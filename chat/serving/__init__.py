"""How a process begins and ends: its port and TLS, signals, drain, reload. Knows nothing of chat."""
