"""scikit-learn's estimators, and joblib's worker processes."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
joblib = pytest.importorskip("joblib", reason="joblib is not installed")
import numpy  # noqa: E402 - scikit-learn brings it
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402
from tests.integrations.work import burn, joules  # noqa: E402

from wattledger import track  # noqa: E402
from wattledger.integrations.sklearn import fit  # noqa: E402

X = numpy.random.default_rng(1).normal(size=(400, 8))
Y = (X.sum(axis=1) > 0).astype(int)


def test_the_estimator_is_fitted_and_its_footprint_named_by_its_class() -> None:
    forest = RandomForestClassifier(n_estimators=60, random_state=1)
    fitted = fit(forest, X, Y, job="forest")
    assert fitted.estimator is forest
    assert forest.score(X, Y) > 0.9
    assert (fitted.footprint.identity.job, fitted.footprint.identity.model) == ("forest", "RandomForestClassifier")
    assert joules(fitted.footprint)[0] > 0


def test_what_fit_takes_it_takes_and_what_fit_raises_it_raises() -> None:
    weighted = fit(LinearRegression(), X, Y, sample_weight=numpy.zeros(400) + (Y == 1)).estimator
    assert weighted.predict(X).min() == pytest.approx(1.0)  # only the ones had a weight
    with pytest.raises(ValueError, match="inconsistent"):
        fit(LinearRegression(), X, Y[:10])


def test_worker_processes_count_for_the_run() -> None:
    """The parent only waits: without its children's energy the run's would be next to nothing."""
    with track(job="alone") as alone:
        burn(1.0)
    with track(job="workers") as workers:
        joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(burn)(1.0) for _ in range(2))
    assert joules(workers.footprint)[0] > 1.2 * joules(alone.footprint)[0]
