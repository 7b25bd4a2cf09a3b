"""The durable engine: conversations and their logs on MongoDB. Knows records, neither sockets nor wire formats."""
