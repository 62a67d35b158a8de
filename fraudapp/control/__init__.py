"""The control topic: policies, entries of lists and caps, which every worker follows."""
