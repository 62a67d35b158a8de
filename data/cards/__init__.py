"""A generator of card transactions between customers and terminals; see `PROVENANCE.md`."""
