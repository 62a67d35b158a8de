"""The HTTP API, on Faust's own web server."""

__part_of__ = "fraudapp"
