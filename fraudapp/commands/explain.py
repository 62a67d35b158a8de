"""`explain`: why a decision is what it is."""

from __future__ import annotations

import click
import msgspec

from fraudapp.backtests.known_models import KnownModels
from fraudapp.cli.control import opened, run
from fraudapp.cli.decision_look_up import in_log, in_postgres
from fraudapp.cli.exit_codes import SinkFailed
from fraudapp.explaining import Unexplainable, explained
from fraudapp.reports.explanation import as_text
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import SinkUnavailable
from models.characters import legible
from models.explanation import Explanation


@click.command("explain")
@click.argument("transaction_id")
@click.option("--from-postgres", is_flag=True, help="Not from the log.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as of the HTTP API.")
def command(transaction_id: str, from_postgres: bool, as_json: bool) -> None:
    """Explain the decision on TRANSACTION_ID, whether it approves, flags or blocks.

    The base, what raises the risk and what lowers it add up to the score, in log-odds; below is
    what policy, lists, rules and the sender had to say. No worker has to run. The log is read up to
    the decision, of one partition, which takes a while where there are millions of them; Postgres
    has it at once, unless it lags. The model is that of the control topic, or of the folder of
    models here.

    Exit code 1 if there is no such decision, or nothing here can explain it, 3 if Postgres fails.
    """
    settings = load()
    try:
        found = run(settings, _explained(settings, transaction_id, from_postgres))
    except SinkUnavailable as exc:
        raise SinkFailed("postgres", exc, "Without --from-postgres, the log is read.") from exc
    except Unexplainable as exc:
        raise click.ClickException(legible(f"{transaction_id}: {exc}")) from exc
    if found is None:
        place = "Postgres, which may lag" if from_postgres else settings.decisions_topic
        raise click.ClickException(f"no decision on {legible(transaction_id)} is in {place}")
    click.echo(msgspec.json.encode(found).decode() if as_json else as_text(found))


async def _explained(
    settings: Settings, transaction_id: str, from_postgres: bool
) -> Explanation | None:
    look_up = in_postgres if from_postgres else in_log
    async with opened(settings) as control:
        if (decision := await look_up(settings, transaction_id)) is None:
            return None
        models = KnownModels(settings, control.known.models)
        return explained(decision, settings.transaction_schema, models.load, control.known.chain)
