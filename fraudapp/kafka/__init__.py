"""Kafka clients: the consumer below the agent, the producer of whole batches, topics, the wire."""
