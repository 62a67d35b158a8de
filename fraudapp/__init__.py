"""One Faust application that decides payment transactions as they arrive on Kafka."""

from fraudapp.process import own_packages as _own_packages

__version__ = "0.2.0"

_own_packages.install()
