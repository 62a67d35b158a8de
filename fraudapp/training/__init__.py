"""Training as commands do it: on files that are named, and on the decision log."""
