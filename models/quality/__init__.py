"""How good decisions were, once labels have come."""
