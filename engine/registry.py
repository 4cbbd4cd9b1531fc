"""The registry: where a model's runs, bundles, tables, releases and labels are.

``<root>/<model>/{runs,bundles,tables,releases,labels}/…``; nothing in it is ever overwritten.
"""

from __future__ import annotations

import re

from engine.bundle import Bundle, BundleContents, write_bundle
from engine.errors import BadSettings, NotFound
from engine.label import Label, LabelRecord
from engine.release import Release, create_release, read_release
from engine.storage import Storage, open_storage

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class Registry:
    """All models under one root."""

    def __init__(self, url: str) -> None:
        """Open a root by URL or path; it need not exist yet."""
        self.storage = open_storage(url)
        self.url = self.storage.url

    def models(self) -> list[str]:
        """Return the names of the models, sorted."""
        return self.storage.names()

    def model(self, name: str) -> ModelRegistry:
        """Return one model's part, which need not exist yet."""
        return ModelRegistry(self.storage, name)

    def existing_model(self, name: str) -> ModelRegistry:
        """Return the part of a model that has something stored.

        Raises:
            NotFound: it has nothing; the message lists the models that have.
        """
        model = self.model(name)
        known = self.models()
        if name not in known:
            listed = ", ".join(known) or "none yet: train first"
            message = f"model in {self.url} must be one of {listed}; got {name!r}"
            raise NotFound(message)
        return model


class ModelRegistry:
    """One model's runs, bundles, tables, releases and labels."""

    def __init__(self, storage: Storage, name: str) -> None:
        """Name a model.

        Raises:
            BadSettings: the name is not lower-case letters, digits, ``_`` and ``-``.
        """
        if not _NAME.fullmatch(name):
            message = f"a model's name must be lower-case letters, digits, _ and -, from a letter on; got {name[:80]!r}"
            raise BadSettings(message)
        self.storage, self.name = storage, name

    def run_path(self, run: str) -> str:
        """Return the directory of a training run."""
        return f"{self.name}/runs/{run}"

    def table_path(self, key: str) -> str:
        """Return the directory of a table."""
        return f"{self.name}/tables/{key}"

    def bundles(self) -> list[str]:
        """Return the ids of the finished bundles, sorted by id."""
        names = self.storage.names(f"{self.name}/bundles")
        return [name for name in names if self.storage.exists(f"{self.name}/bundles/{name}/manifest.json")]

    def bundle(self, identity: str) -> Bundle:
        """Read a bundle by its id, or by a beginning that only it has.

        Raises:
            NotFound: there is none, or several; the message lists what there is.
            BadArtifact: it is damaged.
        """
        known = self.bundles()
        found = [name for name in known if name.startswith(identity)] if identity else []
        if len(found) != 1:
            listed = ", ".join(known) or "none yet: train first"
            message = f"bundle of {self.name!r} must be one of {listed}; got {identity!r}"
            raise NotFound(message)
        return Bundle(self.storage, f"{self.name}/bundles/{found[0]}")

    def newest_bundle(self) -> Bundle:
        """Read the bundle that was exported last.

        Raises:
            NotFound: there is none yet.
        """
        bundles = [self.bundle(identity) for identity in self.bundles()]
        if not bundles:
            message = f"model {self.name!r} in {self.storage.url} has no bundle yet: train it first (foretable train)"
            raise NotFound(message)
        return max(bundles, key=lambda bundle: (bundle.time, bundle.identity))

    def write_bundle(self, contents: BundleContents) -> str:
        """Write a bundle and return its id."""
        return write_bundle(self.storage, f"{self.name}/bundles", contents)

    def tables(self) -> list[str]:
        """Return the keys of the finished tables, sorted by key."""
        names = self.storage.names(f"{self.name}/tables")
        return [name for name in names if self.storage.exists(f"{self.name}/tables/{name}/manifest.json")]

    def releases(self) -> list[int]:
        """Return the numbers of all releases, ascending."""
        names = (name.removesuffix(".json") for name in self.storage.names(f"{self.name}/releases"))
        return sorted(int(name) for name in names if name.isdigit())

    def release(self, number: int) -> Release:
        """Read a release.

        Raises:
            NotFound: there is none of that number; the message lists what there is.
        """
        try:
            return read_release(self.storage, f"{self.name}/releases", number)
        except NotFound as error:
            known = ", ".join(map(str, self.releases())) or "none yet: publish first"
            message = f"release of {self.name!r} must be one of {known}; got {number}"
            raise NotFound(message) from error

    def create_release(self, release: Release) -> Release:
        """Write a release under the next free number and return it with that number."""
        return create_release(self.storage, f"{self.name}/releases", release, known=max(self.releases(), default=0))

    def label(self, name: str = "production") -> Label:
        """Return a label, which need not have a record yet."""
        return Label(self.storage, f"{self.name}/labels", name)

    def head(self, label: str) -> LabelRecord:
        """Return the highest record of a label.

        Raises:
            NotFound: it has none; the message lists the labels that have.
            BadArtifact: the record cannot be read.
        """
        record = self.label(label).head()
        if record is None:
            listed = ", ".join(self.labels()) or "none yet: publish first"
            message = f"label of model {self.name!r} in {self.storage.url} must be one of {listed}; got {label!r}"
            raise NotFound(message)
        return record

    def labels(self) -> list[str]:
        """Return the names of the labels that have records, sorted."""
        return self.storage.names(f"{self.name}/labels")
