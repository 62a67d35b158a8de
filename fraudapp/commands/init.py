"""`init`: prepares what a worker needs before it starts."""

from __future__ import annotations

import asyncio

import click
from aiokafka.errors import KafkaError

from fraudapp.cli.provision import prepare_model, prepare_servers, prepare_shared_model
from fraudapp.settings import load
from fraudapp.sinks.base import SinkUnavailable
from models.errors import NeedsOperator

CANNOT_PREPARE = (NeedsOperator, SinkUnavailable, KafkaError, OSError)
"""Failures whose message tells what to do; any other failure keeps its traceback."""


@click.command("init")
@click.option("--model/--no-model", default=True, help="Train a model if there is none.")
@click.option("--servers/--no-servers", default=True, help="Make topics, tables and the bucket.")
def command(model: bool, servers: bool) -> None:
    """Make what is missing: a model, the topics, the tables, the bucket of the archive.

    A worker does most of this itself when it starts; here it is a step of its own, for deployments
    where workers may not. Nothing that is there is changed, and many may do it at once. The model
    gets into the control topic, from which all workers take it that have none of their own.
    """
    settings = load()
    try:
        if servers:
            asyncio.run(prepare_servers(settings, click.echo))
        if model and servers:
            asyncio.run(prepare_shared_model(settings, click.echo))
        elif model:
            prepare_model(settings, click.echo)
    except CANNOT_PREPARE as exc:
        raise click.ClickException(str(exc)) from exc
