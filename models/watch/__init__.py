"""Whether a model still sees what it was trained on, and still finds what it found there."""
