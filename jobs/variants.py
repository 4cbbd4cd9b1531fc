"""Variants: measure each LiteRT model of a bundle on this host, and each codec, and say which to take. Changes nothing.

Variants take turns, and the ratio to float32 is of neighbouring turns, so that a busy machine disturbs it little; rates
and latencies are this machine's of the moment. Errors are against float32, before the codec.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from engine.bundle import Bundle
from engine.errors import BadSettings
from engine.limits import GateLimits
from engine.registry import ModelRegistry, Registry
from jobs.codec_figures import CodecFigures, measure_codecs
from jobs.program import Parser, Result, add_common, positive, run
from jobs.variant_choice import SAMPLE_ROWS, advice
from jobs.variant_figures import VariantFigures, measure_variants, sample_rows


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run found.

    Attributes:
        model: the model's name.
        bundle: the bundle's id.
        rows: how many random rows the errors are of, besides the golden ones.
        variants: figures by variant, float32 first.
        limits: output -> the largest error that a variant may have.
        left_out: variant -> why the export left it out.
        take: which variant to take.
        reason: why.
        codecs: figures by codec.
    """

    model: str
    bundle: str
    rows: int
    variants: list[VariantFigures]
    limits: Mapping[str, float]
    left_out: Mapping[str, str]
    take: str
    reason: str
    codecs: list[CodecFigures]


def measure(models: ModelRegistry, bundle: Bundle, *, rows: int = SAMPLE_ROWS) -> Measured:
    """Measure a bundle's variants and the codecs.

    Raises:
        BadArtifact: a file is damaged.
    """
    variants = measure_variants(bundle, bundle.variants, rows=rows)
    limits = GateLimits.from_json(bundle.manifest["limits"]).variant_limits(bundle.schema)
    take, reason = advice(variants, limits)
    return Measured(
        model=models.name,
        bundle=bundle.identity,
        rows=rows,
        variants=variants,
        limits=limits,
        left_out=bundle.manifest["training"].get("left_out", {}),
        take=take,
        reason=reason,
        codecs=measure_codecs(bundle, bundle.runtime().infer(sample_rows(bundle, rows))),
    )


def report(found: Measured) -> Iterator[str]:
    """Yield the lines that people read."""
    yield f"bundle {found.bundle} of model {found.model}, on this host, one thread"
    yield f"{'variant':<10}{'bytes':>12}{'1 row, us':>11}{'p99, us':>10}{'M rows/s':>10}{'of float32':>12}"
    for one in found.variants:
        yield (
            f"{one.variant:<10}{one.size_bytes:>12,}{one.row_median_us:>11.1f}{one.row_p99_us:>10.1f}"
            f"{one.bulk_rows_per_s / 1e6:>10.2f}{one.bulk_ratio:>11.2f}x"
        )
    for variant, reason in found.left_out.items():
        yield f"{variant:<10}left out by the export: {reason}"
    for one in found.variants[1:]:
        yield f"errors of {one.variant} against float32, over the golden rows and {found.rows:,} random ones"
        for name, error in one.errors.items():
            allowed = f"allowed {found.limits[name]:.3g}"
            yield f"  {name:<20} largest {error.largest:<10.3g} mean {error.mean:<10.3g} {allowed}"
    yield f"take {found.take}: {found.reason}"
    yield f"{'codec':<10}{'bytes a row':>12}{'table, MB':>12}{'error at most':>15}{'found':>11}"
    for codec in found.codecs:
        size = "-" if codec.table_bytes is None else f"{codec.table_bytes / 1e6:,.1f}"
        line = f"{codec.codec:<10}{codec.row_bytes:>12,}{size:>12}"
        yield (
            f"{line}  {codec.fault}" if codec.fault else f"{line}{codec.error_limit:>15.3g}{codec.largest_error:>11.3g}"
        )


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable variants", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    options.add_argument("--bundle", metavar="ID", help="which bundle (or a beginning of its id); default: the newest")
    options.add_argument("--label", help="instead: the bundle of the release that this label points to")
    options.add_argument(
        "--rows",
        type=positive,
        default=SAMPLE_ROWS,
        metavar="N",
        help=f"random rows to find errors on; default: {SAMPLE_ROWS}",
    )
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say.

    Raises:
        BadSettings: a bundle and a label.
    """
    models = Registry(arguments.registry).existing_model(arguments.model)
    if arguments.bundle and arguments.label:
        message = f"variants needs --bundle or --label, not both; got {arguments.bundle} and {arguments.label}"
        raise BadSettings(message)
    if arguments.label:
        bundle = models.bundle(models.release(models.head(arguments.label).release).bundle)
    else:
        bundle = models.bundle(arguments.bundle) if arguments.bundle else models.newest_bundle()
    found = measure(models, bundle, rows=arguments.rows)
    return Result("\n".join(report(found)), **asdict(found))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
