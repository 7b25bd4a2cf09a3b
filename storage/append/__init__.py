"""The ordering of the log as a machine without I/O and clock: how appends become commands, and what outcomes mean."""
