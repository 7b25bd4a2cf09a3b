"""Providers to try against: servers that behave like those of the vendors, and handsets that show what arrives."""
