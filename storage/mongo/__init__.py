"""The records in MongoDB. Only this package imports motor, pymongo and bson."""

import os

# Motor reads it once, when it is first imported, and takes five threads per CPU otherwise: ten on a small machine,
# hundreds on a big one seen from a small container. It bounds the operations that run at once; the pool is as large.
os.environ.setdefault("MOTOR_MAX_WORKERS", "16")
