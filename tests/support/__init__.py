"""Fakes for unit tests, and helpers that several tiers of tests share."""
