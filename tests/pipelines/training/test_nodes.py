import numpy as np
import pandas as pd
from optuna.storages import InMemoryStorage

from diamonds import models
from diamonds.pipelines.training import nodes
from diamonds.pipelines.training.nodes import Calibration
from diamonds.pipelines.training.tuning import Tuning
from diamonds.schema import FEATURES

CALIBRATION = Calibration(confidence=0.8, folds=4, seed=1)


TUNING = Tuning(trials=1, timeout=60, folds=2, seed=42, pruner="median")


def test_a_model_without_a_search_space_keeps_its_parameters(stones):
    chosen = nodes.tuning("linear")(stones, models.get("linear").Params(numbers=("carat", "x", "y")), TUNING, None)

    assert chosen == {"params": {"numbers": ["carat", "x", "y"]}, "trials": []}


def test_a_search_never_sees_a_stone_outside_the_training_part(stones):
    """Its result depends on the training stones alone: there is nothing else among its inputs."""
    node = next(node for node in _pipeline().nodes if node.name == "xgboost.tune")

    assert set(node.inputs) == {"train", "params:models.xgboost", "params:tuning", "studies", "params:engine"}
    params = models.get("xgboost").Params(n_estimators=40, learning_rate=0.1, n_jobs=1)
    alone = nodes.tuning("xgboost")(stones.head(1000), params, TUNING, InMemoryStorage)
    assert 300 < alone["cross_validated_mae"] < 600


def _pipeline():
    from diamonds.pipelines.training import create_pipeline

    return create_pipeline()


def test_calibration_never_judges_a_stone_by_a_model_fitted_to_it(stones, monkeypatch):
    """A model that remembers its stones by heart would otherwise look perfect, and its band be empty."""
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline

    from diamonds.features import ranks_and_shape

    class Parrot:
        Params = models.get("median").Params

        @staticmethod
        def build(_params):
            return make_pipeline(ranks_and_shape(), KNeighborsRegressor(n_neighbors=1))

    monkeypatch.setattr(models, "get", lambda _name: Parrot)
    estimator = Parrot.build(None).fit(stones[list(FEATURES)], stones["price"])
    assert np.mean(estimator.predict(stones[list(FEATURES)]) == stones["price"]) > 0.99

    pricer = nodes.calibrating("parrot")(stones, estimator, {"params": {}}, {"data_fingerprint": "f"}, CALIBRATION)

    assert pricer.band.factors["any"][1] > 1.1


def test_a_pricer_knows_what_it_was_trained_on(stones):
    fit, calibrate = nodes.fitting("linear"), nodes.calibrating("linear")
    chosen = {"params": {"numbers": ["carat", "x"]}}

    pricer = calibrate(stones, fit(stones, chosen), chosen, {"data_fingerprint": "f"}, CALIBRATION)

    assert (pricer.name, pricer.summary.rows, pricer.summary.data_fingerprint) == ("linear", 3000, "f")
    assert pricer.summary.params == chosen["params"]
    assert pricer.summary.ranges["carat"] == (stones["carat"].min(), stones["carat"].max())
    assert set(pricer.summary.ranges) == {"carat", "depth", "table", "x", "y", "z"}
    assert pricer.band.confidence == 0.8


def test_nodes_leave_their_inputs_as_they_were(stones):
    before = stones.copy()
    chosen = {"params": {"numbers": ["carat", "x"]}}

    estimator = nodes.fitting("linear")(stones, chosen)
    nodes.calibrating("linear")(stones, estimator, chosen, {"data_fingerprint": "f"}, CALIBRATION)

    pd.testing.assert_frame_equal(stones, before)
