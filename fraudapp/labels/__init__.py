"""Labels: what became of transactions, joined with their decisions and known on every worker."""
