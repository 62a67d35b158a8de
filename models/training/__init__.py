"""Training and evaluation of models: uses pandas and scikit-learn, which serving never imports."""
