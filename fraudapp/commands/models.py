"""`models`: the versions that are kept, and which of them serves."""

from __future__ import annotations

import click

from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from models.artifact import ModelFileError


@click.group("models")
def command() -> None:
    """List the model versions and choose the one that serves."""


@command.command("list")
def list_models() -> None:
    """List the versions; a star marks the one that serves."""
    settings = load()
    registry = ModelRegistry(settings.model_dir)
    serving = settings.model_version or registry.active()
    versions = registry.versions()
    if not versions:
        click.echo("no models yet; `fraudapp train` makes one, so does a worker when it starts")
    for version in versions:
        click.echo(f"{'*' if version == serving else ' '} {version}  {_about(registry, version)}")


@command.command("activate")
@click.argument("version")
def activate(version: str) -> None:
    """Let VERSION serve, if it is sound; workers use it when they start."""
    try:
        settings = load()
        ModelRegistry(settings.model_dir).activate(version)
    except ModelFileError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{version} is active")
    named = settings.model_version
    if named not in (None, version):
        click.echo(f"but FRAUD_MODEL_VERSION names {named}, which serves", err=True)


def _about(registry: ModelRegistry, version: str) -> str:
    try:
        registry.load(version)
        card = registry.card(version)
    except ModelFileError as exc:
        return f"unusable: {exc}"
    precision = card.metrics.get("average_precision", float("nan"))
    return f"{card.created_at[:19]}  average precision {precision:.3f} on {card.training['data']}"
