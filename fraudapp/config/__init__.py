"""Loading and parsing of settings: addresses, API keys, rates, topic names, secret files."""
