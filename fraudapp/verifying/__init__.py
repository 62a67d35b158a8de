"""Verifies profiles: computes them again from the log, and compares them with the decisions."""
