"""The command line: each command is a program of its own, loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import foretable

_COMMANDS = {
    "train": ("jobs.train", "fit a definition to its data and export a bundle"),
    "variants": ("jobs.variants", "measure float32 and int8 on this host, and the codecs; say which to take"),
    "precompute": ("jobs.precompute", "compute all answers of a bundle into a lookup table"),
    "publish": ("jobs.publish", "gate a bundle and its table, and point a label to them"),
    "rollback": ("jobs.rollback", "point a label back to an earlier release"),
    "releases": ("jobs.releases", "list what was published and where labels point"),
    "pack": ("jobs.pack", "pack what executors need into one archive for spark-submit"),
    "score": ("jobs.score", "answer every row of a data set, in batch"),
    "quarantine": ("jobs.quarantine", "look at the rows that a batch could not score; remove old ones"),
    "predict": ("jobs.predict", "answer one row from the shell"),
    "serve": ("online.server", "answer over HTTP: table first, model on a miss"),
    "stream": ("streaming.program", "answer requests of a Kafka topic on another, exactly once"),
    "request": ("streaming.asking.program", "send rows to a stream as requests, and wait for the answers"),
    "dead-letters": ("streaming.letters.program", "list, show or send again what a stream could not answer"),
    "profile": ("online.profile.program", "measure a running server; say what requests and rows cost"),
    "verify": ("jobs.verify", "check every digest and block of the releases"),
    "demo": ("examples.flights.demo", "run the whole way on real flights, and show it"),
}
_USAGE, _INTERRUPTED = 64, 130

_HELP = f"""foretable {foretable.__version__}: precompute what you can, infer the rest.

usage: foretable COMMAND [options]        foretable COMMAND --help tells more

The way of a model, from a scientist's code to an answer over HTTP:

  foretable train examples/flights/definition.py --registry models
  foretable precompute flights --registry models
  foretable publish flights --registry models
  foretable serve flights --registry models
  curl 'http://127.0.0.1:8000/v1/models/flights:predict?carrier=UA&origin=EWR&dest=SFO&month=1&weekday=1&hour=6'

commands:
{chr(10).join(f"  {name:<14}{text}" for name, (_, text) in _COMMANDS.items())}

exit codes: 0 done, 64 bad settings or usage, 65 bad data, 70 a bug, 75 try again, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else "--help"
    if command in {"-h", "--help", "help"}:
        print(_HELP, end="")
        return 0
    if command in {"-V", "--version"}:
        print(foretable.__version__)
        return 0
    if command not in _COMMANDS:
        print(f"foretable: command must be one of {', '.join(_COMMANDS)}; got {command!r}", file=sys.stderr)
        return _USAGE
    try:
        module = importlib.import_module(_COMMANDS[command][0])
        return int(module.main(arguments[1:]))
    except KeyboardInterrupt:  # while the command was still being imported
        print(f"foretable {command}: interrupted", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
