"""The server on a CPU of another numeric class: one without fused multiply-add, in an emulator."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.services import missing_service
from tests.support.serving import ServerProcess, load_both
from tests.support.synthetic import NUMBERS_NAME, numbers_rows

PLACE = f'{{label="production",model="{NUMBERS_NAME}"}}'


def test_answers_keep_the_promise_between_classes_and_say_so(published: Path, tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("emulates another x86-64")
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        missing_service("qemu-x86_64", "Install qemu-user (scripts/ensure_qemu.sh)")
    rows = numbers_rows(500)
    here = load_both(published)[1].get(NUMBERS_NAME).predictor.predict_rows(rows).values
    command = [emulator, "-cpu", "SandyBridge"]
    with ServerProcess(published, logs=tmp_path / "log", emulator=command) as server:
        described = json.loads(server.request(f"/v1/models/{NUMBERS_NAME}/metadata")[2])["foretable"]
        assert described["same_numeric_class"] is False
        assert server.metric("foretable_numeric_class_same" + PLACE) == 0
        assert "not equal to the bit" in server.log
        body = json.loads(server.request(f"/v1/models/{NUMBERS_NAME}:predict", {"instances": rows})[2])
    there = np.array([[row["click"], *row["share"]] for row in body["predictions"]], np.float32)
    assert there.tobytes() != here.tobytes()
    assert np.all(np.abs(there - here) <= 1e-6 * np.maximum(1, np.abs(here)))
