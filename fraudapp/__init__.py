"""One Faust application that decides payment transactions as they arrive on Kafka."""

from fraudapp import beside as _beside

__version__ = "0.1.0"

_beside.install()
