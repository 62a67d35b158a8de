"""`models`: the model versions that are kept, and which one serves."""

from __future__ import annotations

import click

from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from models.artifact import ModelFileError
from models.characters import legible


@click.group("models")
def command() -> None:
    """List the model versions and choose the one that serves."""


@command.command("list")
def list_models() -> None:
    """List the versions; a star marks the one that serves."""
    settings = load()
    registry = ModelRegistry.of(settings)
    serving, problem = settings.model_version, ""
    try:
        serving = serving or registry.active()
    except ModelFileError as exc:
        problem = str(exc)
    versions = registry.versions()
    if not versions and not problem:
        click.echo("no models yet; `fraudapp train` makes one, so does a worker when it starts")
    for version in versions:
        star = "*" if version == serving else " "
        click.echo(f"{star} {legible(version)}  {_summary(registry, version)}")
    if serving and serving not in versions:
        problem = f"model {serving!r}, which is to serve, is not there; activate another, or train"
    if problem:
        raise click.ClickException(problem)


@command.command("activate")
@click.argument("version")
def activate(version: str) -> None:
    """Let VERSION serve, if it is sound; workers use it when they start."""
    try:
        settings = load()
        ModelRegistry.of(settings).activate(version)
    except ModelFileError as exc:
        raise click.ClickException(str(exc)) from exc
    print_active(settings, version)


def print_active(settings: Settings, version: str) -> None:
    """Print that `version` is active, and whether it serves."""
    named = settings.model_version
    if named in (None, version):
        click.echo(f"{version} is active; workers use it when they start")
    else:
        click.echo(f"{version} is active")
        click.echo(f"but FRAUD_MODEL_VERSION names {named}, which serves", err=True)


def _summary(registry: ModelRegistry, version: str) -> str:
    try:
        registry.load(version)
        card = registry.card(version)
    except ModelFileError as exc:
        return f"unusable: {exc}"
    precision, data = card.metrics.get("average_precision"), card.training.get("data")
    shown = f"{precision:.3f}" if isinstance(precision, float) else "unknown"
    return f"{card.created_at[:19]}  average precision {shown} on {legible(str(data))}"
