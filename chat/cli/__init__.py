"""The command line. `main.py` declares the commands and imports nothing else until one of them runs."""
