"""Records that a worker writes besides decisions: submitted and rerouted inputs, dead letters."""
