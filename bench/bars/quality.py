"""Whether the flights model is worth its place: its bundle's metrics beside scikit-learn's on the same split."""

from __future__ import annotations

from bench.flights import DEFINITION, MODEL
from bench.flights_baselines import baselines
from bench.harness import Result
from engine.definition import load_definition
from engine.registry import Registry


def measure(command: str, *, registry: str) -> list[Result]:
    """Compare the newest flights bundle with the best baseline of each metric."""
    metrics = Registry(registry).model(MODEL).newest_bundle().manifest["metrics"]
    peers = baselines(load_definition(str(DEFINITION)).examples(""))
    for name, scores in peers.items():
        print(f"  {name}: {', '.join(f'{metric} {value:.4f}' for metric, value in scores.items())}")
    best_loss = min(scores["log_loss"] for scores in peers.values())
    best_auc = max(scores["auc"] for scores in peers.values())
    bars = [
        ("flights, log loss over the best baseline's", metrics["on_time.log_loss"] - best_loss, "nats", 0.001),
        ("flights, AUC under the best baseline's", best_auc - metrics["on_time.auc"], "AUC", 0.003),
        ("flights, calibration error in 10 bins", metrics["on_time.calibration_error"], "error", 0.03),
    ]
    return [
        Result(bar=bar, value=value, unit=unit, goal=goal, better="lower", command=command)
        for bar, value, unit, goal in bars
    ]
