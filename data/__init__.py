"""Labelled sample transactions, and the generators that make them."""

from __future__ import annotations

from data.samples import sample, sample_path

__all__ = ["sample", "sample_path"]
__part_of__ = "fraudapp"
