"""The module that `faust -A fraudapp.app` loads: the application, built from the environment."""

from __future__ import annotations

import gc

# Imported modules stay: the garbage collector would search them over and over during a start.
gc.set_threshold(100_000)

from fraudapp.process import own_packages

own_packages.check()

from fraudapp.application import build, prepare_process
from fraudapp.settings import load

settings = load()
prepare_process(settings)
app = build(settings).app
