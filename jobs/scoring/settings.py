"""The settings of a scoring job."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.scoring.bad_rows import BadRowLimit
from jobs.scoring.format import FormatOptions
from jobs.scoring.split import SplitSize


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """What to score.

    Attributes:
        model: the model's name.
        input: URL of a directory or a file.
        output: URL of the directory that the scored rows go to.
        input_may_come: an input that is not there is one to try again for, and no slip of the pen.
        label: whose release answers; it is looked up once.
        release: which release answers, instead of a label's.
        format: of the input; None is what its names tell.
        options: of the format.
        keep: columns that go into the output, ``NAME`` or ``NAME:TYPE``; None is all.
        prefix: before the names of the columns that are added.
        redact: columns whose values must not be in the quarantine.
        max_bad_rows: more end the job; None is no limit.
        batch_timeout_s: how long the model may take for a chunk of rows.
        quarantine_days: after so many the quarantine may be purged; None is never.
        size: of splits.
        lock: only one run at a time may work on the output.
        quiet: no progress bar.
    """

    model: str
    input: str
    output: str
    input_may_come: bool = False
    label: str = "production"
    release: int | None = None
    format: str | None = None
    options: FormatOptions = field(default_factory=FormatOptions)
    keep: tuple[str, ...] | None = None
    prefix: str = ""
    redact: tuple[str, ...] = ()
    max_bad_rows: BadRowLimit | None = None
    batch_timeout_s: float = 600.0
    quarantine_days: int | None = None
    size: SplitSize = field(default_factory=SplitSize)
    lock: bool = False
    quiet: bool = False
