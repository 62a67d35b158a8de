"""A model in the shadow of the policy of a worker."""

from __future__ import annotations

from pathlib import Path

from tests.support import tiny_model
from tests.support.worker import Worker


def put_in_shadow(worker: Worker, folder: Path, note: str = "of a test") -> str:
    """Publish a model that is made by hand, and let a policy name it; returns its version.

    `folder` gets both; it is not that of the worker, which has the model from the topic.
    """
    version = tiny_model.saved(folder / "models", tiny_model.model())
    file = folder / "shadow.toml"
    file.write_text(f'shadow = ["{version}"]\n')
    own, worker.environment = (
        worker.environment,
        {**worker.environment, "FRAUD_DATA_DIR": str(folder)},
    )
    try:
        worker.run("models", "publish", version, "--note", note)
    finally:
        worker.environment = own
    worker.run("policy", "apply", str(file), "--wait", "60")
    return version
