"""Compares two models by the decisions on which both have scores."""
