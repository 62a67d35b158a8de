"""A generator of credit transfers between banks, as pacs.008; see `PROVENANCE.md`."""
