"""Notifications for devices that have nothing open: what is to be sent, through whom, and what came of it."""
