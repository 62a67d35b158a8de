"""What was learned, without the digits that depend on the processor.

Libraries for linear algebra add in another order on another processor or with more threads, so the
last digits of a fit differ. A version is named after its content: two machines with the same data
would train two versions.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline

DIGITS = 6
"""Decimals that are kept of log-odds, weights and leaves: far more than the data can tell."""


def rounded(pipeline: Pipeline) -> Pipeline:
    """The pipeline, one of those of `models.training.train`, with its numbers rounded in place.

    So it stays the reference that the exported model equals.
    """
    fitted = pipeline.steps[-1][1]
    if isinstance(fitted, GradientBoostingClassifier):
        fitted.init_.class_prior_ = np.round(fitted.init_.class_prior_, 12)
        for tree in (regressor.tree_ for regressor in fitted.estimators_[:, 0]):
            tree.value[...] = np.round(tree.value, DIGITS)
            tree.weighted_n_node_samples[...] = np.round(tree.weighted_n_node_samples, 4)
        return pipeline
    scaler = pipeline.steps[0][1]
    for learned, names in ((scaler, ("mean_", "scale_")), (fitted, ("coef_", "intercept_"))):
        for name in names:
            setattr(learned, name, np.round(getattr(learned, name), DIGITS))
    return pipeline
