"""What a trained model has to beat: scikit-learn's usual answers on the same rows. Needs the dev requirements."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.definition import Examples

Floats = npt.NDArray[np.float64]
CALIBRATION_BINS = 10


def calibration_error(labels: Floats, chances: Floats) -> float:
    """Return the mean over rows of ``|mean chance - mean label|`` of the row's bin, of 10 equal bins on [0, 1]."""
    bins = np.minimum((chances * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=chances - labels, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def scores(labels: Floats, chances: Floats) -> dict[str, float]:
    """Return ``log_loss``, ``auc`` and ``calibration_error`` of predicted chances, both of shape (n,)."""
    from sklearn.metrics import log_loss, roc_auc_score

    return {
        "log_loss": float(log_loss(labels, chances)),
        "auc": float(roc_auc_score(labels, chances)),
        "calibration_error": calibration_error(labels, chances),
    }


def baselines(examples: Examples, label: str = "on_time") -> dict[str, dict[str, float]]:
    """Fit the constant, logistic regression and gradient boosting; return their scores on the holdout by name.

    They learn from every row that is not held out: the validation rows too, which they have no use for.
    Every column but ``label``, a float32 of 0 and 1, is a category.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    seen = [examples.train] if examples.validation is None else [examples.train, examples.validation]
    train, holdout = pa.concat_tables(seen), examples.holdout
    names = [name for name in train.column_names if name != label]
    train_codes = _codes(train, names)
    holdout_codes = _codes(holdout, names)
    train_labels, labels = (table[label].to_numpy().astype(np.float64) for table in (train, holdout))

    one_hot = OneHotEncoder(handle_unknown="ignore")
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    models: dict[str, tuple[Any, Any]] = {
        "logistic regression": (one_hot, LogisticRegression(max_iter=300)),
        "gradient boosting": (
            ordinal,
            HistGradientBoostingClassifier(categorical_features=list(range(len(names))), random_state=0),
        ),
    }
    result = {"constant": scores(labels, np.full(len(labels), train_labels.mean()))}
    for name, (encoder, model) in models.items():
        model.fit(encoder.fit_transform(train_codes), train_labels)
        chances = model.predict_proba(encoder.transform(holdout_codes))[:, 1].astype(np.float64)
        result[name] = scores(labels, chances)
    return result


def _codes(table: pa.Table, names: list[str]) -> npt.NDArray[np.object_]:
    """Return the raw values of the columns as texts, object (n, columns)."""
    return np.stack([table[name].cast(pa.string()).to_numpy() for name in names], axis=1)
