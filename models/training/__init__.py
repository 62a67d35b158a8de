"""Training and judging a model: pandas and scikit-learn, which nothing that serves imports."""
