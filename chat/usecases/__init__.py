"""What users do, free of transports: every method of RPC and REST is one of these functions."""
