"""Commands on models in shadow: what they would have changed, and how one comes to decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeVar

import click
import msgspec

from fraudapp.backtests.known_models import KnownModels
from fraudapp.cli import policy_changes as changes
from fraudapp.cli.control import Control, opened, run
from fraudapp.cli.control_options import MAX_NOTE_CHARACTERS, Said, signed
from fraudapp.cli.exit_codes import SinkFailed
from fraudapp.cli.parameters import Finite
from fraudapp.cli.periods import period_of
from fraudapp.cli.policy_files import InvalidPolicy
from fraudapp.cli.policy_shown import last_readable
from fraudapp.cli.waiting import waiting
from fraudapp.comparing.compare import NothingInCommon, compare
from fraudapp.comparing.gathering import MAX_ROWS, Chosen, Source
from fraudapp.model_registry import serving_version
from fraudapp.reports.comparison import as_text
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import SinkUnavailable
from models.characters import legible
from models.comparing.comparison import Compared
from models.comparing.promotion import (
    MAX_BLOCK_CHANGE,
    MAX_PSI,
    MIN_DAYS,
    MIN_ROWS,
    Limits,
    refusals,
)
from models.policies.definition import MODEL, PolicyFile
from models.policies.promoting import promoted
from models.policies.reading import PolicyError

REFUSED: Final = 4
"""Exit code of a promotion that was refused."""
MATURE_DAYS: Final = 7
"""The same as that of `train --from-log`."""
MAX_REASON_CHARACTERS: Final = 400
"""Of why it is forced, and as many of what speaks against it: both are always in the note."""
_UNHEARD_OF: Final = (
    "{} is in no policy, not in the control topic, and does not serve here: is it right? `models "
    "published` tells those of the topic. Decisions are searched for it nevertheless."
)
_OUT_OF_SHADOW: Final = "it is not in the shadow of the policy in force"
Command = TypeVar("Command", bound=Callable[..., Any])


class Refused(click.ClickException):
    """A model may not take the place of the one that decides; nothing was changed."""

    exit_code = REFUSED


def _chosen(command: Command) -> Command:
    """Add the options that choose decisions and labels."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
        click.option(
            "--mature-days",
            type=click.IntRange(0, 3_650),
            default=MATURE_DAYS,
            show_default=True,
            help="Quality is that of decisions as old as that, by when their labels have come.",
        ),
        click.option(
            "--max-rows",
            type=click.IntRange(min=1),
            default=MAX_ROWS,
            show_default=True,
            help="Decisions to look at: of more, an even sample by the hash of the id.",
        ),
        click.option("--from-postgres", is_flag=True, help="Not from the log."),
        click.option("--until", help="Decisions up to then, not including it."),
        click.option(
            "--since", default="30d", show_default=True, help="From then on: 7d, a date or a time."
        ),
    ):
        command = option(command)
    return command


@click.command("compare")
@click.argument("one")
@click.argument("other")
@_chosen
def compare_models(
    one: str,
    other: str,
    since: str,
    until: str | None,
    from_postgres: bool,
    max_rows: int,
    mature_days: int,
    as_json: bool,
) -> None:
    """Compare the versions ONE and OTHER on the decisions on which both have scores.

    One of them decided while a policy had the other one in `shadow`, or both were in it. Precision
    and recall are taken at the thresholds of the policy in force. Exit code 3 if Postgres fails.
    """
    settings, now = load(), datetime.now(timezone.utc)
    chosen = _of_options(since, until, from_postgres, mature_days, max_rows, now)

    async def look() -> Compared:
        async with opened(settings) as control:
            policy, models = _policy(control), KnownModels(settings, control.known.models)
            for each in (one, other):
                if models.problem(each) and not _was_named(control, each):
                    click.echo(_UNHEARD_OF.format(legible(each)), err=True)
        return await compare(settings, (one, other), chosen, _thresholds(settings, policy), models)

    _show(_answered(settings, look), as_json=as_json)


@click.command("promote")
@click.argument("version")
@click.option(
    "--against", metavar="VERSION", help="The one that decides, if the policy names none."
)
@click.option("--min-rows", type=click.IntRange(min=0), default=MIN_ROWS, show_default=True)
@click.option("--min-days", type=Finite(min=0), default=MIN_DAYS, show_default=True)
@click.option(
    "--max-block-change",
    type=Finite(min=0),
    default=MAX_BLOCK_CHANGE,
    show_default=True,
    help="Of the share that is blocked, relative to that of the model that decides.",
)
@click.option(
    "--max-psi",
    type=Finite(min=0),
    default=MAX_PSI,
    show_default=True,
    help="Of its scores, against those of its training.",
)
@click.option(
    "--min-frauds",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Known ones; worse quality cannot be seen without.",
)
@click.option("--force", is_flag=True, help="Whatever speaks against it; with --reason.")
@click.option("--reason", type=Said(MAX_REASON_CHARACTERS), help="Why it is forced.")
@_chosen
@signed
def promote(
    version: str,
    against: str | None,
    force: bool,
    reason: str | None,
    since: str,
    until: str | None,
    from_postgres: bool,
    max_rows: int,
    mature_days: int,
    as_json: bool,
    author: str,
    note: str,
    **limits: Any,
) -> None:
    """Let VERSION decide, which is in the shadow of the policy in force.

    It is compared with the model that decides, as by `models compare`. Refused, with exit code 4,
    is one that has too few rows or days in shadow, would block a share that is another one beyond
    chance, has other scores than in its training, or is worse by mature labels beyond chance. Else
    the policy in force is applied with `model = "VERSION"` and without it in `shadow`: `policy
    rollback` takes it back. Exit code 3 if another policy was quicker.

    `--force --reason TEXT` does it nevertheless; reason and author are in the note of the policy.
    """
    if not re.fullmatch(MODEL, version):
        raise click.UsageError(f"{legible(version)} is no version of a model")
    if force != bool(reason and reason.strip()):
        raise click.UsageError("--force goes with --reason TEXT, and --reason with --force")
    settings, now = load(), datetime.now(timezone.utc)
    chosen = _of_options(since, until, from_postgres, mature_days, max_rows, now)

    async def change() -> None:
        async with opened(settings, for_writing=True) as control, waiting(settings, None) as told:
            champion = _champion(control, against)
            text = _text(control, version)
            changes.check_models(control, text)
            found, why = await _judged(control, version, champion, chosen, Limits(**limits))
            if found:
                _show(found, as_json=as_json)
            if why and not force:
                told_why = "\n".join(f"- {legible(each)}" for each in why)
                raise Refused(f"{version} is not promoted, and nothing was changed:\n{told_why}")
            said = _note(version, champion, found, why, reason, note)
            await changes.propose(
                control, told, text, parent=control.head, author=author, note=said
            )

    _answered(settings, change)


def _champion(control: Control, against: str | None) -> str | None:
    """Return the version that decides, None if it is not known; raises `click.UsageError`."""
    policy = _policy(control)
    named = policy.model if policy else None
    if named and against and named != against:
        raise click.UsageError(f"--against {against}: the policy in force names {named}")
    return named or against or serving_version(control.settings)


async def _judged(
    control: Control, version: str, champion: str | None, chosen: Chosen, limits: Limits
) -> tuple[Compared | None, list[str]]:
    """Return the comparison with the model that decides, and all that speaks against a version."""
    settings, policy = control.settings, _policy(control)
    why = [] if policy and version in policy.shadow else [_OUT_OF_SHADOW]
    if champion is None:
        return None, [*why, "which model decides is not known here: name it by --against"]
    models, thresholds = KnownModels(settings, control.known.models), _thresholds(settings, policy)
    try:
        found = await compare(settings, (champion, version), chosen, thresholds, models)
    except NothingInCommon as exc:
        return None, [*why, str(exc)]
    return found, [*why, *refusals(found, limits)]


COMMANDS: Final[Sequence[click.Command]] = (compare_models, promote)


def _of_options(
    since: str,
    until: str | None,
    from_postgres: bool,
    mature_days: int,
    max_rows: int,
    now: datetime,
) -> Chosen:
    source: Source = "postgres" if from_postgres else "log"
    return Chosen(period_of(since, until, now), timedelta(days=mature_days), now, source, max_rows)


def _answered(settings: Settings, action: Callable[[], Any]) -> Any:
    try:
        return run(settings, action(), unsure=changes.UNSURE)
    except PolicyError as exc:
        raise InvalidPolicy(str(exc)) from exc
    except SinkUnavailable as exc:
        raise SinkFailed("postgres", exc, "Nothing was changed; run it again then.") from exc


def _policy(control: Control) -> PolicyFile | None:
    found = last_readable(control)
    return found[1].policy if found else None


def _was_named(control: Control, version: str) -> bool:
    """Whether any policy of the control topic names a version."""
    candidates = control.known.chain.candidates.values()
    return any(version in each.proposed.text for each in candidates)


def _thresholds(settings: Settings, policy: PolicyFile | None) -> Mapping[str, float]:
    at = policy or settings.policy
    return {"flag": at.flag_at, "block": at.block_at}


def _text(control: Control, version: str) -> str:
    head = control.head
    text = head.proposed.text if head else changes.thresholds(control)
    return promoted(text, version, control.settings.transaction_schema)


def _note(
    version: str,
    champion: str | None,
    found: Compared | None,
    why: Sequence[str],
    reason: str | None,
    note: str,
) -> str:
    """Return what the record says of a promotion; only what its author adds is cut."""
    said = f"promote {version}" + (f" instead of {champion}" if champion else "")
    if reason is not None:
        said += f"; forced: {reason}"
    if why:
        said += f"; against it: {'; '.join(why)[:MAX_REASON_CHARACTERS]}"
    if found:
        sample = f", a sample of {found.share:.2%}" if found.share < 1.0 else ""
        said += f"; {found.rows:,} rows in shadow{sample}"
        said += f", same outcome {found.agreement.value:.4%}"
    return (said + (f"; {note}" if note else ""))[:MAX_NOTE_CHARACTERS]


def _show(found: Compared, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo(as_text(found))
