"""Backtests: what a policy would have changed in decisions that were made."""
