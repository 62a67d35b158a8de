"""What `faust -A fraudapp.app` loads: the application, built from the environment."""

from __future__ import annotations

import gc

# What is imported stays: to look through it again and again took an eighth of a start (measured).
gc.set_threshold(100_000)

from fraudapp.process import own_packages

own_packages.check()

from fraudapp.application import build, prepare_process
from fraudapp.settings import load

settings = load()
prepare_process(settings)
app = build(settings).app
