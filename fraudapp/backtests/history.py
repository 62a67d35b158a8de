"""The control log as a timeline."""

from __future__ import annotations

from fraudapp.control.reader import reading
from fraudapp.settings import Settings
from models.control.timeline import Timeline


async def timeline(settings: Settings) -> Timeline:
    """Read the control topic to its present end; raises `KafkaError`."""
    found = Timeline()
    async with reading(settings) as reader:
        await reader.read_to(await reader.end(), found.apply)
    return found
