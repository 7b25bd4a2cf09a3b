"""The API described for machines: OpenAPI 3.1 of what HTTP has, AsyncAPI 3.0 of the socket.

Made from the tables of methods and resources and from the types that validate: what is described is what is served.
"""
