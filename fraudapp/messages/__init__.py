"""Messages the worker writes besides decisions: transactions, rerouted ones, dead letters."""
