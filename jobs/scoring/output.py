"""The output of a scoring job: written under a name that no reader takes for data, shown whole by one rename.

``<parent>/_<name>-<run>/`` becomes ``<parent>/<name>/``. Where a storage cannot rename (S3), files are written where
they stay, and the output is there once its manifest is: readers look for ``_manifest.json`` first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from engine.errors import AlreadyExists, BadArtifact, BadSettings, NotFound, Refused
from engine.manifest import parse_manifest, seal
from engine.storage import Storage, open_storage
from jobs.scoring.dataset import split_url
from jobs.scoring.quarantine import FOLDER
from jobs.scoring.split_done import FileDone

KIND, VERSION = "scores", 1
MANIFEST = "_manifest.json"
# What workflow engines that know no manifest wait for.
_SUCCESS = "_SUCCESS"


class Output:
    """Where one run writes.

    Attributes:
        url: of the finished output.
        staging_url: of what is written meanwhile.
    """

    def __init__(self, url: str, run: str) -> None:
        """Name it.

        Args:
            url: of the finished output.
            run: 16 hex digits of what decides every byte: equal runs share their unfinished work.

        Raises:
            BadSettings: the URL names no directory.
        """
        parent, self._name = split_url(url)
        self._storage: Storage = open_storage(parent)
        self._run = run
        self._staging = f"{hidden_name(self._name)}-{run}" if self._storage.can_rename_trees else self._name
        self.url = f"{self._storage.url}/{self._name}"
        self.staging_url = f"{self._storage.url}/{self._staging}"

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of this run's finished output; None where there is none yet.

        Raises:
            Refused: there is another run's output, or something else, under that name.
            BadArtifact: the manifest is damaged.
        """
        path = f"{self._name}/{MANIFEST}"
        try:
            fields = parse_manifest(self._storage.read(path), kind=KIND, version=VERSION, where=path)
        except NotFound:
            if self._staging != self._name and self._storage.exists(self._name):
                message = f"output {self.url} must be free; got what is no scoring job's. Give another --output"
                raise Refused(message) from None
            return None
        if fields["run"] != self._run:
            release = fields["release"]["number"]
            message = (
                f"output {self.url} must be of this run; got that of another input, release or settings: release "
                f"{release}, {fields['time']}. Nothing is overwritten: give another --output, or remove it first"
            )
            raise Refused(message)
        return fields

    def check_empty(self, expected: Collection[str]) -> None:
        """Where files are written in their place, see that no other run's are there.

        Raises:
            Refused: some are.
        """
        if self._staging != self._name:
            return
        strays = [path for path in self._files() if not (path in expected or _is_ours(path))]
        if strays:
            message = (
                f"output {self.url} must be empty or of this run; got {len(strays)} other files: {strays[0]}, … "
                "Another run left them unfinished: remove them, or give another --output"
            )
            raise Refused(message)

    def check_files(self, files: Iterable[FileDone]) -> None:
        """See that every file is there in its length, and remove what a killed or doubled try left beside them.

        Raises:
            BadArtifact: one is missing or cut short.
            Refused: files are written in their place, and so does another run.
        """
        self.manifest()
        wanted = {file.path: file.size_bytes for file in files}
        found = self._files()
        for path, size_bytes in wanted.items():
            if found.get(path) != size_bytes:
                message = (
                    f"{self.staging_url}/{path}: must be {size_bytes} bytes long; got {found.get(path)}. Run again"
                )
                raise BadArtifact(message)
        self.check_empty(wanted)
        for path in found.keys() - wanted.keys() - {MANIFEST, _SUCCESS}:
            self._storage.remove(f"{self._staging}/{path}")

    def show(self, manifest: dict[str, Any]) -> None:
        """Make the output visible: 1. the manifest, 2. the marker, 3. the rename.

        Raises:
            Refused: another run's output was there first.
            BadArtifact: an equal run that was killed left a manifest of other files.
        """
        for name, data in ((MANIFEST, seal(manifest)), (_SUCCESS, b"")):
            try:
                self._storage.create(f"{self._staging}/{name}", data)
            except AlreadyExists:  # an equal run wrote it
                if self._staging == self._name:
                    self.manifest()  # refuses any other run's
                self._check_listed(manifest)
        if self._staging == self._name:
            return
        try:
            self._storage.rename_tree(self._staging, self._name)
        except (AlreadyExists, NotFound):  # an equal run was first; manifest() refuses any other
            if self.manifest() is None:
                raise
        self.remove_unfinished()

    def _check_listed(self, manifest: dict[str, Any]) -> None:
        """See that the manifest that is there lists the files that are there."""
        path = f"{self._staging}/{MANIFEST}"
        found = parse_manifest(self._storage.read(path), kind=KIND, version=VERSION, where=path)
        if found["files"] != manifest["files"]:
            where = f"{self._storage.url}/{path}"
            message = f"{where}: must list the files beside it; it lists others. Remove it and run again"
            raise BadArtifact(message)

    def remove_unfinished(self) -> None:
        """Remove what runs of other inputs or releases left of this output: now that it is there, none can end."""
        unfinished = re.compile(rf"{re.escape(hidden_name(self._name))}-[0-9a-f]{{16}}")
        for name in self._storage.names():
            if unfinished.fullmatch(name):
                self._storage.remove_tree(name)

    def _files(self) -> dict[str, int]:
        walked = self._storage.walk(self._staging, hidden=True)
        return {file.path.removeprefix(f"{self._staging}/"): file.size_bytes for file in walked}


def _is_ours(path: str) -> bool:
    """Whether a file is none that readers take for data: a manifest, a quarantined row, somebody's unfinished work."""
    return path in {MANIFEST, _SUCCESS} or path.startswith(f"{FOLDER}/") or path.rpartition("/")[2].startswith(".")


def hidden_name(name: str) -> str:
    """Return how the names begin of what is kept beside an output, and that no reader takes for data.

    Spark takes ``_day=1`` for a partition, and so for data: there is no ``=`` in these names.
    """
    return f"_{name.replace('%', '%25').replace('=', '%3D')}"


def check_name(url: str) -> None:
    """See that plain readers will find the output.

    Raises:
        BadSettings: its name begins with ``_`` or ``.``.
    """
    _, name = split_url(url)
    if name.startswith(("_", ".")):
        message = f"an output's name must not begin with _ or . since readers skip such names; got {name!r}"
        raise BadSettings(message)
