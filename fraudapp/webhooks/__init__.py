"""Webhooks: a receiver of the owner is told of blocked transactions and changes of policies.

They follow the specification Standard Webhooks: each is signed, and told again under the same id
until the receiver has answered 2xx.
"""
