"""What a running stack tells its user: where it is, and how to send it something."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from models.schema.example import messages
from models.schema.schema import PAYSIM, Schema

EXAMPLE_ID: Final = "demo1"
"""Id of the transaction to send."""
EXAMPLE: Final = (
    '{"transaction_id":"demo1","step":1,"type":"TRANSFER","amount":250000,"nameOrig":"C1",'
    '"oldbalanceOrg":0,"newbalanceOrig":0,"nameDest":"C2","oldbalanceDest":0,"newbalanceDest":0}'
)
"""A message of PaySim's schema."""


def welcome(ready: str, schema: Schema, web_port: int, data_dir: Path) -> str:
    """Return the text of a stack that is ready, which begins with the sentence about that."""
    base = f"http://localhost:{web_port}"
    return f"""
{ready} Ctrl-C stops everything.

  watch     {base}/stats
  API       {base}/docs
  health    {base}/readyz
  log       {data_dir / "local" / "worker.log"}
  files     {data_dir}

Send one from a second terminal, in this folder, and ask for its decision:

  faust -A fraudapp.app send transactions {shlex.quote(example_message(schema))}
  curl "{base}/transaction/{EXAMPLE_ID}/status?wait_seconds=5"
"""


def example_message(schema: Schema) -> str:
    """Return a valid message with the id `EXAMPLE_ID`: one of the preset's, if its fields are."""
    if schema.has_fields_of(PAYSIM):
        return EXAMPLE
    found = schema.parser.parse(messages(schema)[0])
    return schema.encode(replace(found, transaction_id=EXAMPLE_ID)).decode()
