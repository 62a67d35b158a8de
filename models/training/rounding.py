"""Rounds fitted parameters, so that the digits that depend on the processor are lost.

Libraries for linear algebra add in another order on another processor or with more threads, so that
the last digits of a fit differ. Since a version is named after its content, two machines with the
same data would otherwise train two versions.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

DIGITS = 6
"""Decimals of log-odds, weights and leaves: far more than the data determines."""


def rounded(pipeline: Pipeline) -> Pipeline:
    """Round the parameters of a pipeline that can be exported in place, and return it.

    The pipeline thus stays the reference that the exported model equals.
    """
    fitted = pipeline.steps[-1][1]
    if isinstance(fitted, GradientBoostingClassifier):
        fitted.init_.class_prior_ = np.round(fitted.init_.class_prior_, 12)
        for tree in (regressor.tree_ for regressor in fitted.estimators_[:, 0]):
            tree.value[...] = np.round(tree.value, DIGITS)
            tree.weighted_n_node_samples[...] = np.round(tree.weighted_n_node_samples, 4)
        return pipeline
    if isinstance(fitted, HistGradientBoostingClassifier):
        fitted._baseline_prediction = np.round(fitted._baseline_prediction, DIGITS)
        for (tree,) in fitted._predictors:
            tree.nodes["value"] = np.round(tree.nodes["value"], DIGITS)
        return pipeline
    scaler = pipeline["standardscaler"]
    for learned, names in ((scaler, ("mean_", "scale_")), (fitted, ("coef_", "intercept_"))):
        for name in names:
            setattr(learned, name, np.round(getattr(learned, name), DIGITS))
    return pipeline
