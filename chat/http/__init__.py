"""The HTTP side: REST under `/v1` for users, the server API under `/api` for the application's own servers."""
