"""The HTTP API of policies and lists: read, checked, tried on past decisions, changed, approved."""
