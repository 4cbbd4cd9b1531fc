"""What a worker process loads once: the release that it answers from."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from engine.errors import BadArtifact
from engine.predictor import Predictor
from engine.registry import Registry

# Where YARN and Spark's own manager let a job's processes of one host keep what goes away with the job.
# SPARK_LOCAL_DIRS is none: whoever set it by hand would find a copy of every table there.
_JOB_DIRECTORIES = ("LOCAL_DIRS", "SPARK_EXECUTOR_DIRS")


@functools.lru_cache(maxsize=2)
def worker_predictor(registry: str, model: str, release: int, shared: str | None = None) -> Predictor:
    """Return the predictor of a release: loaded once a process, its table mapped from one copy a host.

    Args:
        registry: its URL.
        model: the model's name.
        release: its number.
        shared: where the copy goes; None is the job's own directory on a cluster's host, or no sharing where there is
            none.

    Raises:
        NotFound: there is no such release.
        BadArtifact: a file is damaged, a block of the table too.
    """
    return load_predictor(registry, model, release, shared)


def load_predictor(registry: str, model: str, release: int, shared: str | None = None) -> Predictor:
    """Load as ``worker_predictor`` does, without the memory of it."""
    models = Registry(registry).existing_model(model)
    shared = shared or _job_directory()
    predictor = Predictor.load(models, models.release(release), shared=shared)
    # A server lets the model answer for a corrupt block. A job's output would then depend on when it was found.
    if predictor.table and not shared and (bad := predictor.table.check_all()):
        message = f"table {predictor.release.table} of {model}: {bad} blocks are corrupt. Precompute it again"
        raise BadArtifact(message)
    return predictor


def _job_directory() -> str | None:
    for name in _JOB_DIRECTORIES:
        first = os.environ.get(name, "").partition(",")[0]
        if first and Path(first).is_dir():
            return str(Path(first) / f"foretable-{os.getuid()}")
    return None
