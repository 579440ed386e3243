"""scikit-learn: ``fitted = fit(estimator, X, y)``, then ``fitted.estimator`` and ``fitted.footprint``.

Child processes count: joblib's workers (``n_jobs=``) are children of this process, and a run is of the process and its children.
"""

from typing import Any, NamedTuple

from wattledger import Footprint, track


class Fitted(NamedTuple):
    """What ``estimator.fit`` returned, and what it drew."""

    estimator: Any
    footprint: Footprint


def fit(estimator: Any, data: Any, target: Any = None, *, job: str | None = None, **fit_params: Any) -> Fitted:
    """``estimator.fit(data, target, **fit_params)``, measured; the model is named by the estimator's class.

    What ``fit`` raises is raised.  ``job`` defaults to the script's name.
    """
    with track(job=job, model=type(estimator).__name__) as run:
        fitted = estimator.fit(data, **fit_params) if target is None else estimator.fit(data, target, **fit_params)
    return Fitted(fitted, run.footprint)
