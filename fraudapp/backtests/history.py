"""The control log as a timeline."""

from __future__ import annotations

from fraudapp.control.reader import read_all
from fraudapp.settings import Settings
from models.control.timeline import Timeline


async def timeline(settings: Settings) -> Timeline:
    """Read the control topic to its present end; raises `KafkaError`."""
    found = Timeline()
    await read_all(settings, found.apply)
    return found
