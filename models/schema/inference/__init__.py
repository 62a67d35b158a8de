"""Schemas for samples of messages: whether one holds for them, and a first draft of one."""
