"""The file that a running stack is sent, so that there is something to see."""

from __future__ import annotations

from pathlib import Path

from fraudapp.cli.transaction_files import read_file
from fraudapp.samples import sample
from fraudapp.settings import Settings
from models.files.rows import UnreadableFile
from models.records import Transaction


def replayed(settings: Settings) -> Path | None:
    """Return the sample of the schema, or else the file that its models are trained on, if any.

    A schema of one's own may have the name of a preset and other fields: that sample is not its
    own. Raises `models.errors.TrainingDataError` if a sample cannot be made.
    """
    files = (sample(settings), settings.training_file)
    return next((file for file in files if file and _fits(file, settings)), None)


def sending(file: Path | None, rate: float, settings: Settings) -> str:
    """Return what follows the news that the stack is ready: what is sent, so many a second."""
    if not rate:
        return ""
    if file is None:
        return f"; schema {settings.transaction_schema} has no sample, so none goes in"
    name = file.name if file == settings.training_file else "a sample"
    return f"; {name} goes in at {rate:g}/s"


def _fits(file: Path, settings: Settings) -> bool:
    try:
        first = next(read_file(file, "id", settings.transaction_schema), None)
    except UnreadableFile:
        return False
    return isinstance(first, Transaction)
