"""What librdkafka's errors mean to the caller."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from engine.errors import BadSettings, ForetableError, Unavailable
from streaming.clients.client import Aborted, Fenced, TooLarge

_FENCED = {
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}
# The member's generation is over: it takes a poll to join again, and the records again.
_ABORTED = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._MAX_POLL_EXCEEDED,
}
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
_REFUSALS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}
_BAD_SETTINGS = {
    KafkaError._INVALID_ARG,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.INVALID_GROUP_ID,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.UNSUPPORTED_VERSION,
}
# Passing states that librdkafka does not flag as retriable outside of transactions.
_UNAVAILABLE = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._SSL,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._QUEUE_FULL,
    KafkaError._RESOLVE,
    KafkaError._WAIT_COORD,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
}


def kafka_error_of(error: KafkaException) -> KafkaError:
    """Return what an exception of the library wraps."""
    wrapped = error.args[0] if error.args else None
    return wrapped if isinstance(wrapped, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def is_refusal(error: KafkaError) -> bool:
    """Whether a broker answered, and will not let this client in: or the client does not trust the broker."""
    # A broker that goes away during the handshake is a fault of TLS to the library, too.
    return error.code() in _REFUSALS or (error.code() == KafkaError._SSL and "certificate" in error.str())


def explain(error: KafkaError, where: str, *, otherwise: type[ForetableError] = Aborted) -> ForetableError:
    """Return the error to raise for one of the library's, in a step that ``where`` names.

    Args:
        error: the library's.
        where: what was being done, as a message begins.
        otherwise: for what the library calls neither retriable nor by a code that says more.
    """
    code, said = error.code(), f"{where}: {error.name()}: {error.str()}"
    # A static member's fence comes as what it did to the consumer: that one never brings anything again.
    if code in _FENCED or (code == KafkaError._FATAL and "fenced" in error.str()):
        return Fenced(f"{said}. Another instance took its place: let that one go on.")
    if code in _TOO_LARGE:
        return TooLarge(f"{said}. Send smaller records, or raise the topic's max.message.bytes.")
    if code in _BAD_SETTINGS or is_refusal(error):
        return BadSettings(f"{said}. Correct the settings, or grant the right.")
    if code in _ABORTED or error.txn_requires_abort():
        return Aborted(f"{said}. Abort, rewind, and do the records again.")
    if code in _UNAVAILABLE or error.retriable():
        return Unavailable(f"{said}. Try again.")
    return otherwise(f"{said}.")
