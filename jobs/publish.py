"""Publish: run the gate over a bundle and its table; if all checks pass, make a release and move a label to it.

A failed gate says which check and why, and the label stays. ``--override REASON`` publishes all the same and records
the reason. Two publishers at once: the one that moves the label second exits with 75 and is run again, so that its
gate compares with the new production.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain

from engine.bundle import Bundle
from engine.codec import codec_named
from engine.errors import BadArtifact, BadSettings, ForetableError, NotFound, Refused
from engine.label import LabelRecord
from engine.manifest import now_text
from engine.predictor import Predictor
from engine.program import say
from engine.registry import ModelRegistry, Registry
from engine.release import Release
from engine.table import read_table_manifest
from jobs.gate import Candidate, Check, run_gate
from jobs.program import Parser, Result, add_choice_of_answers, add_common, positive, run

NO_TABLE = "none"


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """What to publish.

    Attributes:
        model: the model's name.
        bundle: the bundle's id, or a beginning of it; None is the newest.
        variant: which of its LiteRT models.
        codec: the output codec's name.
        table: a table's key, ``none``, or None for the newest table of this bundle, variant and codec.
        label: the label to move.
        reason: why, for the label's history.
        override: publish although a check fails, for this reason.
        sample_rows: how many random rows the gate recomputes.
    """

    model: str
    bundle: str | None = None
    variant: str = "float32"
    codec: str = "float32"
    table: str | None = None
    label: str = "production"
    reason: str = ""
    override: str | None = None
    sample_rows: int = 10_000


@dataclass(frozen=True)
class Published:
    """What a run did: the release, the label's new record, and what the gate found."""

    release: Release
    record: LabelRecord
    checks: list[Check]


def publish(
    registry: Registry, settings: PublishSettings, report: Callable[[Check], object] = lambda _: None
) -> Published:
    """Gate a candidate, make it a release and move the label.

    Args:
        registry: where the bundle and the table are.
        settings: what to publish.
        report: told each check's finding as it is made.

    Raises:
        Refused: a check failed and there is no override; nothing was changed.
        LostRace: another publisher moved the label meanwhile; run it again.
        NotFound: there is no such bundle or table.
        BadSettings: an override without a reason.
    """
    if settings.override is not None and not settings.override.strip():
        message = "an override must have a reason, which the label's history keeps; got none"
        raise BadSettings(message)
    models = registry.model(settings.model)
    label = models.label(settings.label)
    before = label.head()
    production, unreadable = _production(models, before)
    release = _candidate_release(models, settings)
    predictor = Predictor.load(models, release)
    checks = []
    for check in chain(unreadable, run_gate(Candidate(models, predictor, production, settings.sample_rows))):
        report(check)
        checks.append(check)
    failed = [check for check in checks if not check.passed]
    if failed and settings.override is None:
        listed = "; ".join(f"{check.check}: {check.figure}, must be {check.limit}" for check in failed)
        message = f"the gate refused bundle {release.bundle}: {listed}. {settings.label!r} stays where it is"
        raise Refused(message)
    findings = [asdict(check) for check in checks]
    release = models.create_release(replace(release, gate=findings))
    reason = settings.reason or "published"
    if failed:
        reason = f"{reason}; gate overridden: {settings.override}"
    return Published(release, label.move(release.number, after=before, reason=reason), checks)


def _production(models: ModelRegistry, record: LabelRecord | None) -> tuple[Bundle | None, list[Check]]:
    """Return what a label serves now; where that is damaged, a failed check that an override can pass."""
    if record is None:
        return None, []
    try:
        return models.bundle(models.release(record.release).bundle), []
    except ForetableError as error:
        return None, [Check("production", passed=False, figure=str(error), limit="readable, to compare with")]


def _candidate_release(models: ModelRegistry, settings: PublishSettings) -> Release:
    bundle = models.bundle(settings.bundle) if settings.bundle else models.newest_bundle()
    codec = codec_named(settings.codec, bundle.schema).to_json()
    return Release(
        model=models.name,
        bundle=bundle.identity,
        bundle_digest=bundle.digest,
        variant=settings.variant,
        codec=codec,
        table=_table_key(models, bundle, settings, codec),
        gate=[],
        time=now_text(),
    )


def _table_key(
    models: ModelRegistry, bundle: Bundle, settings: PublishSettings, codec: dict[str, object]
) -> str | None:
    if settings.table == NO_TABLE:
        return None
    if settings.table:
        if settings.table not in (known := models.tables()):
            message = f"table of {models.name!r} must be one of {', '.join(known) or NO_TABLE}; got {settings.table!r}"
            raise NotFound(message)
        return settings.table
    wanted = (bundle.identity, settings.variant, codec)
    found: list[tuple[str, str]] = []
    for key in models.tables():
        try:
            manifest = read_table_manifest(models.storage, models.table_path(key))
            spec = manifest["spec"]
            if (spec["bundle"], spec["variant"], spec["codec"]) == wanted:
                found.append((manifest["time"], key))
        except (BadArtifact, KeyError):  # a damaged table of some other bundle must not stop this one
            continue
    if not found:
        message = (
            f"bundle {bundle.identity} of {models.name!r} has no finished table of variant {settings.variant}, codec "
            f"{settings.codec}: precompute it first, or publish without one (--table none)"
        )
        raise NotFound(message)
    return max(found)[1]


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable publish", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    add_choice_of_answers(options)
    options.add_argument("--table", metavar="KEY", help="a table's key, or 'none'; default: the newest that fits")
    options.add_argument("--label", default="production", help="the label to move; default: production")
    options.add_argument("--reason", default="", help="why, for the label's history")
    options.add_argument("--override", metavar="REASON", help="publish although a check fails, and record why")
    options.add_argument(
        "--sample-rows", type=positive, default=10_000, metavar="N", help="random rows to recompute; default: 10000"
    )
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Publish as the arguments say."""
    names = PublishSettings.__dataclass_fields__
    settings = PublishSettings(**{name: getattr(arguments, name) for name in names})
    show = (lambda _: None) if arguments.json else say
    done = publish(Registry(arguments.registry), settings, show)
    text = f"release {done.release.number} of {done.release.model}; {settings.label} points to it"
    return Result(
        text, release=done.release.number, label=settings.label, record=done.record.number, gate=done.release.gate
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
