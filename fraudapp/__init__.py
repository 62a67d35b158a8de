"""One Faust application that decides payment transactions as they arrive on Kafka."""

__version__ = "0.1.0"
