"""The HTTP API, on Faust's own web server."""
