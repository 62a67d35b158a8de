"""Compares models by the decisions that are kept."""
