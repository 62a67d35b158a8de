"""The AsyncAPI 3 document of the topics, made from the types that validate their records."""

from __future__ import annotations

from typing import Any, Final

from faust import web

from fraudapp import __version__
from fraudapp.settings import Settings
from web import asyncapi_labels as labels
from web.components import REF, components
from web.control import asyncapi as control
from web.examples import documented
from web.messages import component
from web.views import View, route


@route("/asyncapi.json", name="asyncapi")
class AsyncApi(View):
    """The document as JSON."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer the document."""
        return self.answer(document(self.context.settings))


def document(settings: Settings) -> dict[str, Any]:
    """Return the AsyncAPI document of this application."""
    schema = settings.transaction_schema
    examples = documented(schema)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "fraudapp",
            "version": __version__,
            "description": "Transactions in, decisions out. Keys of messages are transaction "
            "ids, except in the control topic; delivery is at least once, and of several decisions "
            "under one id the first counts.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "transactions": _channel(
                settings, settings.transactions_topic, "Transaction", "Transactions to decide."
            ),
            "decisions": _channel(
                settings, settings.decisions_topic, "Decision", "The decisions, for good."
            ),
            "deadLetters": _channel(
                settings,
                settings.dead_letters_topic,
                "DeadLetter",
                "Rejected messages, as they were.",
            ),
            "labels": _channel(
                settings, settings.labels_topic, "Label", "What became of transactions."
            ),
            "labelled": _channel(
                settings,
                settings.labelled_topic,
                "Labelled",
                "Decisions together with all labels on them; of several under one id, that with "
                "the largest version counts.",
            ),
            "control": control.channel(settings.control_topic),
        },
        "operations": {
            "decide": _operation("receive", "transactions"),
            "publishDecisions": _operation("send", "decisions"),
            "publishDeadLetters": _operation("send", "deadLetters"),
            "receiveLabels": _operation("receive", "labels"),
            "publishLabels": _operation("send", "labels"),
            "publishLabelled": _operation("send", "labelled"),
            "followLabelled": _operation("receive", "labelled"),
            "follow": _operation("receive", "control"),
            "change": _operation("send", "control"),
        },
        "components": {
            "messages": {
                "Transaction": _message(component(schema), examples.message),
                "Decision": _message("Decision", examples.decision),
                "DeadLetter": {
                    "contentType": "application/octet-stream",
                    "headers": _DEAD_LETTER_HEADERS,
                    "payload": {"description": "The bytes of the rejected message."},
                },
                **{
                    name: _message(name, example)
                    for name, example in labels.messages(examples.decision).items()
                },
                **control.messages(),
            },
            "schemas": components(schema, *labels.types(schema), *control.TYPES),
        },
    }


_DEAD_LETTER_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["reason", "detail", "topic", "partition", "offset"],
    "properties": {
        "reason": {"type": "string", "description": "Such as `invalid` or `conflict`."},
        "detail": {"type": "string", "description": "What is wrong, as a sentence."},
        "topic": {"type": "string", "description": "Where the message was read first."},
        "partition": {"type": "string", "pattern": "^[0-9]+$"},
        "offset": {"type": "string", "pattern": "^[0-9]+$"},
        "raw-bytes": {"type": "string", "description": "Size of a message that is not whole."},
        "raw-sha256": {"type": "string", "description": "SHA-256 of such a message."},
        "raw-form": {
            "enum": ["cut", "re-encoded"],
            "description": "What is left of it: its beginning, or its transaction.",
        },
        "key-bytes": {"type": "string", "description": "Size of a key that was cut."},
        "key-sha256": {"type": "string", "description": "SHA-256 of such a key."},
    },
}


def _channel(settings: Settings, topic: str, message: str, description: str) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic, "partitions": settings.topic_partitions}},
    }


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _message(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "payload": {"$ref": REF.format(name=name)},
        "bindings": {"kafka": {"key": {"type": "string", "description": "transaction_id"}}},
        "examples": [{"payload": example}],
    }
