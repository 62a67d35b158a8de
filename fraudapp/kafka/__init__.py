"""Kafka clients: the consumer below the agent, the batch producer, topics, and the wire format."""
