"""The embedded stack: every server the application needs, from wheels, on one machine."""
