"""Dead letters: list those of a topic, show one whole, send them again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from engine.errors import BadSettings
from engine.program import run
from streaming.letters.actions import list_letters, replay_letters, show_letter, try_replay
from streaming.letters.config import PROGRAM, parse_list, parse_replay, parse_show

_HELP = f"""usage: {PROGRAM} list | show | replay [options]

  {PROGRAM} list --brokers HOST:PORT --topic TOPIC          a table, and counts
  {PROGRAM} show PARTITION:OFFSET --brokers … --topic …     one letter whole
  {PROGRAM} replay --brokers … --topic …                    send them again

{PROGRAM} ACTION --help tells more
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the arguments say; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    action = arguments[0] if arguments else "--help"
    if action in {"-h", "--help"}:
        print(_HELP, end="")
        return 0
    return run(PROGRAM, lambda: _act(action, arguments[1:], os.environ))


def _act(action: str, argv: Sequence[str], environment: Mapping[str, str]) -> int:
    if action == "list":
        return list_letters(parse_list(argv, environment))
    if action == "show":
        return show_letter(*parse_show(argv, environment))
    if action == "replay":
        config = parse_replay(argv, environment)
        return try_replay(config) if config.dry_run else replay_letters(config)
    message = f"the action must be list, show or replay; got {action[:80]!r}"
    raise BadSettings(message)


if __name__ == "__main__":
    raise SystemExit(main())
