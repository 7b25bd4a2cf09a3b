"""The playground: a chat page on the public protocol and REST, signed in as a demo user."""
