"""The pure core: what a transaction is, how it is scored and what is decided. No network, no clock."""
