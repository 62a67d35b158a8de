"""Counts what models see and score on this worker, by the bins of their cards."""
