"""Holds a scoring program at one point of its work on HDFS or S3, so that a test can break something just there.

With this directory on ``PYTHONPATH``: the first process that comes to ``HOLD_AT`` makes the file ``HOLD_REACHED``, with
its process id in it, and waits until ``HOLD_REACHED.go`` is there, or it is killed. The points, where ``HOLD_SPLITS``
is how many splits are visible by then:

- ``sent``: a split's bytes are sent to the DataNodes, and its file is not closed;
- ``split``: a split is written, and not visible; ``split-shown``: it is, and nobody was told;
- ``output``: all is written, and the output not visible; ``output-shown``: it is, and nothing is tidied up.

On S3 there are ``split`` and ``output`` only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from engine.stores.hdfs import HdfsStore
from engine.stores.s3 import S3Store

_AT, _SPLITS = os.environ["HOLD_AT"], int(os.environ.get("HOLD_SPLITS", "0"))
_REACHED = Path(os.environ["HOLD_REACHED"])
_put = S3Store.create
_create, _rename, _rename_tree = HdfsStore.create, HdfsStore._rename, HdfsStore.rename_tree


def _is_split(path: str) -> bool:
    return path.rpartition("/")[2].startswith("part-") and "_quarantine" not in path


def _splits(store: HdfsStore | S3Store, path: str) -> int:
    return sum(name.startswith("part-") for name in store.names(path.rpartition("/")[0]))


def _hold(point: str) -> None:
    if point != _AT:
        return
    written = _REACHED.with_name(f"{_REACHED.name}.{os.getpid()}")
    written.write_text(str(os.getpid()))
    try:
        os.link(written, _REACHED)  # the first alone is held
    except FileExistsError:
        return
    while not _REACHED.with_suffix(".go").exists():
        time.sleep(0.01)


def _held_create(self: HdfsStore, path: str, write: Any) -> None:
    def held(file: Any) -> None:
        write(file)
        if _is_split(path) and _AT == "sent" and _splits(self, path) >= _SPLITS:
            file._send()
            _hold("sent")

    _create(self, path, held)


def _held_rename(self: HdfsStore, temporary: str, target: str) -> None:
    here = _is_split(target) and _splits(self, target.removeprefix(f"{self._root}/")) >= _SPLITS
    if here:
        _hold("split")
    _rename(self, temporary, target)
    if here:
        _hold("split-shown")


def _held_rename_tree(self: HdfsStore, source: str, target: str) -> None:
    _hold("output")
    _rename_tree(self, source, target)
    _hold("output-shown")


def _held_put(self: S3Store, path: str, write: Any) -> None:
    def held(file: Any) -> None:
        write(file)
        if _is_split(path) and _splits(self, path) >= _SPLITS:
            _hold("split")
        if path.endswith("/_manifest.json"):
            _hold("output")

    _put(self, path, held)


S3Store.create = _held_put  # type: ignore[method-assign]
HdfsStore.create, HdfsStore._rename, HdfsStore.rename_tree = _held_create, _held_rename, _held_rename_tree  # type: ignore[method-assign]
