"""Profiles: what accounts did before, folded from the log of decisions and from labels."""
