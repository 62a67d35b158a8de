"""FastStream: a batch subscriber with a list of models, as documented, and bulk sinks."""

from __future__ import annotations

from typing import Annotated, Literal

from faststream.kafka.annotations import KafkaMessage
from pydantic import BaseModel, Field, StringConstraints

from models.records import MAX_AMOUNT, MAX_STEP, MAX_TEXT_CHARACTERS
from models.schema.schema import PAYSIM
from tests.benchmarks.peers.deciding import Record
from tests.benchmarks.peers.faststream_app import bulk, decider, run

Amount = Annotated[float, Field(ge=0, le=MAX_AMOUNT)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARACTERS)]


class Payment(BaseModel, strict=True):
    """A transaction."""

    transaction_id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS)]
    step: Annotated[int, Field(ge=1, le=MAX_STEP)]
    type: Literal["CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER"]
    amount: Amount
    nameOrig: Text
    oldbalanceOrg: Amount
    newbalanceOrig: Amount
    nameDest: Text
    oldbalanceDest: Amount
    newbalanceDest: Amount
    isFraud: Literal[0, 1] = 0
    isFlaggedFraud: Literal[0, 1] = 0


async def handle(payments: list[Payment], message: KafkaMessage) -> None:
    """Decide a batch; its offsets are committed once it is saved."""
    await bulk.save(
        decider.transactions(
            (
                Record(raw.topic, raw.partition, raw.offset, b""),
                PAYSIM.parser.from_mapping(payment.model_dump()),
            )
            for payment, raw in zip(payments, message.raw_message, strict=True)
        )
    )


if __name__ == "__main__":
    run(handle)
