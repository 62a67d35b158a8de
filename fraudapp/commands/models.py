"""`models`: the model versions that are kept, and which one serves."""

from __future__ import annotations

from typing import Final

import click

from fraudapp.cli import challengers
from fraudapp.cli.control import Control, opened, run
from fraudapp.cli.control_options import signed
from fraudapp.cli.exit_codes import SinkFailed
from fraudapp.control.fitting import ruling_of
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import SinkUnavailable
from models.artifact import ModelFileError
from models.characters import legible
from models.control.records import Archived
from models.policies.reading import PolicyError

_UNSURE: Final = "`fraudapp models published` tells whether it is there"


@click.group("models")
def command() -> None:
    """List the model versions, choose the one that serves, and give one to all workers."""


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


@command.command("publish")
@click.argument("version")
@signed
def publish(version: str, author: str, note: str) -> None:
    """Give VERSION to all workers, through the control topic.

    One that is larger than FRAUD_MODEL_RECORD_BYTES goes into the archive, from where they fetch
    it; if it is lost there, this writes it again.

    Each of them checks it. It scores once a policy names it, with `model = "VERSION"`, between two
    batches; the policy before takes it back: `fraudapp policy rollback`.
    """
    settings = load()
    try:
        files = ModelRegistry.of(settings).files(version)
    except ModelFileError as exc:
        raise click.ClickException(str(exc)) from exc

    async def change() -> bool:
        async with opened(settings, for_writing=True) as control, control.writer() as writer:
            return await writer.distribute(version, *files, author=author, note=note)

    try:
        is_new = run(settings, change(), unsure=_UNSURE)
    except SinkUnavailable as exc:
        raise SinkFailed("archive", exc, "Nothing was published; do it again then.") from exc
    where = f"in topic {settings.control_topic}"
    click.echo(f"{version} is {where}" if is_new else f"{version} was {where} already")


@command.command("published")
def published() -> None:
    """List the versions that all workers have.

    A star marks that of the policy in force, and `~` those in its shadow.
    """
    settings = load()

    async def look() -> Control:
        async with opened(settings) as control:
            return control

    control = run(settings, look())
    named: str | None = None
    shadow: tuple[str, ...] = ()
    if head := control.head:
        try:
            policy = ruling_of(head, settings.transaction_schema).policy
            named, shadow = policy.model, tuple(policy.shadow)
        except PolicyError as exc:
            click.echo(f"warning: policy {head.number}: {legible(exc.problems[0])}", err=True)
    for version, each in control.known.models.items():
        star = "*" if version == named else "~" if version in shadow else " "
        where = " in the archive" if isinstance(each, Archived) else ""
        told = f" ({legible(each.note)})" if each.note else ""
        by = f"by {legible(each.author)}{told}"
        click.echo(f"{star} {legible(version)}  {each.size:,} bytes{where} {by}")
    if not control.known.models:
        click.echo("no models yet; `fraudapp models publish VERSION` adds one")


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


for each in challengers.COMMANDS:
    command.add_command(each)
