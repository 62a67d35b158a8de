"""Labels: what became of transactions, told after they were decided."""
