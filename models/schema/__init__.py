"""Schemas: which fields a transaction has, and which features of it the model sees."""
