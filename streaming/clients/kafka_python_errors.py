"""What kafka-python's errors mean to the caller."""

from __future__ import annotations

from kafka import errors as kafka_errors

from engine.errors import BadSettings, ForetableError, Unavailable
from streaming.clients.client import Aborted, Fenced, TooLarge

_FENCED = (
    kafka_errors.ProducerFencedError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.FencedInstanceIdError,
)
# The member's generation is over, or the transaction is: each needs a poll, or an abort, and the records again.
_ABORTED = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.FencedMemberEpochError,
    kafka_errors.StaleMemberEpochError,
    kafka_errors.TransactionAbortedError,
)
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_BAD_SETTINGS = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.InvalidTopicError,
    kafka_errors.InvalidGroupIdError,
    kafka_errors.InconsistentGroupProtocolError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.InvalidTransactionTimeoutError,
    kafka_errors.UnsupportedVersionError,
    kafka_errors.UnsupportedCodecError,
)


def explain(
    error: BaseException, where: str, *, otherwise: type[ForetableError] = Aborted, cure: str = "Try again."
) -> ForetableError:
    """Return the error to raise for one of kafka-python's, in a step that ``where`` names.

    Args:
        error: the library's.
        where: what was being done, as a message begins.
        otherwise: for what the library calls neither retriable nor by a name that says more.
        cure: what to do about that.
    """
    if isinstance(error, ForetableError):
        return error
    said = f"{where}: {error}"
    if isinstance(error, _FENCED):
        return Fenced(f"{said}. Another instance took its place: let that one go on.")
    if isinstance(error, _ABORTED):
        return Aborted(f"{said}. Abort, rewind, and do the records again.")
    if isinstance(error, _TOO_LARGE):
        return TooLarge(f"{said}. Send smaller records, or raise the topic's max.message.bytes.")
    if isinstance(error, _BAD_SETTINGS):
        return BadSettings(f"{said}. Correct the settings, or grant the right.")
    if getattr(error, "retriable", False) or isinstance(error, OSError):
        return Unavailable(f"{said}. Try again.")
    return otherwise(f"{said}. {cure}")
