"""Policies: thresholds, rules and lists, which turn a score into an outcome."""
