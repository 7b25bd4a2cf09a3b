"""The server API, `POST /api/<method>`: what the application's own servers may do, in Centrifugo's shapes."""
