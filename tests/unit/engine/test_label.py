"""Labels: races, gaps in listings, lost answers, and heads that cannot be read."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import AlreadyExists, BadArtifact, BadSettings, LostRace, NotFound
from engine.label import Label, LabelRecord
from engine.manifest import new_manifest, seal
from engine.storage import Storage, open_storage


@pytest.fixture
def storage() -> Storage:
    return open_storage(f"memory://test-{secrets.token_hex(8)}")


def moved(storage: Storage, *releases: int) -> Label:
    label = Label(storage, "labels", "production")
    for release in releases:
        label.move(release, after=label.head(), reason=f"to {release}")
    return label


def test_a_label_is_its_highest_record(storage: Storage) -> None:
    label = Label(storage, "labels", "production")
    assert label.head() is None
    assert label.history() == []
    first = label.move(4, after=None, reason="the first")
    second = label.move(7, after=first, reason="better")
    back = label.move(4, after=second, reason="it was not")
    assert (back.number, back.release, back.reason) == (3, 4, "it was not")
    assert Label(storage, "labels", "production").head() == back
    assert label.history() == [first, second, back]
    assert storage.names("labels/production") == ["00000001.json", "00000002.json", "00000003.json"]


def test_labels_of_other_names_are_apart(storage: Storage) -> None:
    moved(storage, 1, 2)
    assert Label(storage, "labels", "staging").head() is None


@pytest.mark.parametrize("name", ["", "Production", "1st", "a/b", "..", "a b", "a" * 64, "a\n"])
def test_a_wrong_name_is_refused(storage: Storage, name: str) -> None:
    with pytest.raises(BadSettings, match="a label must be lower-case letters"):
        Label(storage, "labels", name)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_of_8_movers_one_wins(storage: Storage, scheme: str, tmp_path: Path) -> None:
    storage = storage if scheme == "memory" else open_storage(str(tmp_path))
    head = moved(storage, 1).head()
    start = threading.Barrier(8)

    def move(number: int) -> LabelRecord | str:
        label = Label(storage, "labels", "production")
        start.wait()
        try:
            return label.move(number, after=head, reason=f"mover {number}")
        except LostRace as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(move, range(10, 18)))
    (winner,) = [result for result in results if isinstance(result, LabelRecord)]
    assert Label(storage, "labels", "production").history()[1:] == [winner]
    for result in results:
        if isinstance(result, str):
            assert f"got record 2: release {winner.release} ({winner.reason})" in result
            assert "Publish again" in result


def test_a_stale_head_loses(storage: Storage) -> None:
    label = moved(storage, 1)
    stale = label.head()
    label.move(2, after=stale, reason="quicker")
    with pytest.raises(LostRace, match="still be at record 1; got record 2"):
        label.move(3, after=stale, reason="too late")
    with pytest.raises(LostRace):
        label.move(3, after=None, reason="never looked")


class LateListing(Storage):
    """Lists only what it is told to, as an object store may for a while."""

    shown: list[str]

    def names(self, path: str = "") -> list[str]:
        return self.shown


@pytest.mark.parametrize("shown", [[], ["00000001.json"], ["00000002.json", "notes.txt"], ["00000003.json"]])
def test_records_that_no_listing_shows_are_probed(storage: Storage, shown: list[str]) -> None:
    moved(storage, 1, 2, 3)
    late = LateListing(storage.url)
    late.shown = shown
    head = Label(late, "labels", "production").head()
    assert head is not None
    assert (head.number, head.release) == (3, 3)


class NoListing(Storage):
    def names(self, path: str = "") -> list[str]:
        message = "listed"
        raise AssertionError(message)


def test_a_known_number_saves_the_listing(storage: Storage) -> None:
    moved(storage, 1, 2, 3)
    label = Label(NoListing(storage.url), "labels", "production")
    for known in (1, 2, 3):
        head = label.head(known)
        assert head is not None
        assert head.number == 3


class LostAnswer(Storage):
    """Writes, loses the answer, and finds its own file when it tries again."""

    def create(self, path: str, data: bytes) -> None:
        super().create(path, data)
        message = f"{path} exists already"
        raise AlreadyExists(message)


def test_one_s_own_write_is_known_again(storage: Storage) -> None:
    first = moved(storage, 1).head()
    record = Label(LostAnswer(storage.url), "labels", "production").move(2, after=first, reason="lost")
    assert record.number == 2
    assert Label(storage, "labels", "production").head() == record


DAMAGED = {
    "empty": b"",
    "cut short": b'{"format":{"kind":"label","ver',
    "no text": b"\xff\xfe\x00",
    "another kind": seal(new_manifest("release", 1, number=3)),
    "a later version": seal(new_manifest("label", 2, number=3, release=1, reason="", time="", nonce="")),
    "a field missing": seal(new_manifest("label", 1, number=3, reason="", time="", nonce="")),
    "another number": seal(new_manifest("label", 1, number=2, release=1, reason="", time="", nonce="")),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_head_that_cannot_be_read_is_never_skipped(storage: Storage, damage: str) -> None:
    label = moved(storage, 1, 2)
    storage.create("labels/production/00000003.json", DAMAGED[damage])
    with pytest.raises(BadArtifact, match=r"labels/production/00000003\.json"):
        label.head()
    with pytest.raises(BadArtifact):
        label.head(known=2)
    with pytest.raises(BadArtifact):
        label.history()
    with pytest.raises(BadArtifact):
        label.move(5, after=label.record(2), reason="over it")
    assert label.record(2).release == 2


def test_a_record_that_is_not_there(storage: Storage) -> None:
    with pytest.raises(NotFound):
        moved(storage, 1).record(2)
