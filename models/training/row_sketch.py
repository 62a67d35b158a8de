"""A sketch of the rows that a model was trained on, by which some of them are recognised later.

It has the smallest hashes of all rows (a bottom-k sketch; Cohen and Kaplan: "Summarizing Data Using
Bottom-k Sketches", 2007). Which rows are in it depends on their content alone. So of other data,
the rows with hashes as small are a fair sample, and each of them is in the sketch if it was in the
training data. A file is thus recognised if it was split, sorted or written in another form.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.schema.schema import Schema
from models.training.dataset import Labelled
from models.training.reading import identifying

SIZE: Final = 256
"""Hashes of a sketch: 4 KB on the card."""
LEAST: Final = 3
"""Rows that must be recognised, since one or two may be equal by chance."""
CHUNK: Final = 65_536
"""Rows that are hashed at a time, which bounds memory."""
_BYTES: Final = np.dtype(">u8")

Digests = NDArray[np.uint64]


def digests(data: Labelled, schema: Schema) -> Digests:
    """Return a hash of all that was read of each row except its label and weight."""
    definition = schema.definition
    left_out = {definition.role("label"), definition.role("weight"), *identifying(schema)}
    columns = {
        name: column
        for name, column in data.fields.items()
        if name not in left_out and not pd.isna(column).all()
    }
    found: Digests = np.empty(len(data.fraud), np.uint64)
    for at in range(0, len(found), CHUNK):  # a frame has a copy of what it is made of
        part = {name: each[at : at + CHUNK] for name, each in columns.items()}
        part = {n: c if c.dtype == object else c + 0.0 for n, c in part.items()}  # -0 is 0
        frame = pd.DataFrame(part)
        found[at : at + CHUNK] = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return found


def sketch(found: Digests) -> str:
    """Return the sketch of rows with these digests, as hexadecimal digits."""
    smallest = np.unique(found)[:SIZE]
    return smallest.astype(_BYTES).tobytes().hex()


def share_seen(found: Digests, kept: Any) -> float:
    """Return about which share of the rows with these digests are among those of a sketch.

    It is 0 if fewer than `LEAST` are recognised, or if there is no sketch.
    """
    try:
        smallest = np.frombuffer(bytes.fromhex(kept), dtype=_BYTES)
    except (TypeError, ValueError):
        return 0.0
    if not smallest.size:
        return 0.0
    sample = found if smallest.size < SIZE else found[found <= smallest.max()]
    seen = int(np.isin(sample, smallest).sum())
    return seen / len(sample) if seen >= LEAST else 0.0
