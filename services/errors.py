"""What goes wrong with a service: the class is the caller's next move.

``python -m services`` ends with the class's code. The codes are those of ``engine/errors.py``; this package stands
alone and imports nothing of the engine.
"""

from __future__ import annotations


class ServiceError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 70


class MissingTool(ServiceError):
    """Java or Maven is not on this machine: install it."""

    exit_code = 64


class FetchFailed(ServiceError):
    """Maven could not fetch the jars: mend the network or Maven's settings, and try again."""

    exit_code = 75


class DaemonFailed(ServiceError):
    """A daemon ended, or did not get ready in time: read its log."""

    exit_code = 75


class DamagedState(ServiceError):
    """The file that says which daemons are ours cannot be read: see to them by hand."""

    exit_code = 65


class BadUsage(ServiceError):
    """The command line or a setting is at fault: fix the command."""

    exit_code = 64
