"""The pure core: transactions, features, models, scores and decisions. No network, no clock."""

__part_of__ = "fraudapp"
