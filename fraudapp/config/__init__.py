"""What settings are made of: addresses, keys, rates, names of topics, secrets from files."""
