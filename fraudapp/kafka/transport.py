"""Faust's aiokafka transport with our consumer."""

from __future__ import annotations

from fraudapp.kafka.client_in_loop import ClientTransport
from fraudapp.kafka.consumer import SafeConsumer


class SafeTransport(ClientTransport):
    """A transport whose consumers are `SafeConsumer`s, which lose no record in a rebalance."""

    Consumer = SafeConsumer
