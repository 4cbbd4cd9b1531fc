"""Arrow streams as bodies: columns of raw values in, columns of answers and faults out."""

from __future__ import annotations

import struct

import pyarrow as pa
from flatbuffers.table import Table

from engine.answer import Answers
from engine.answer_columns import FAULT, answer_arrays, answer_schema, fault_array
from engine.errors import InvalidInput, TooManyRows
from engine.output import OutputSchema

# The end of a stream: a continuation mark, and a message of no length.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
# Places in the vtables of Arrow's format/Message.fbs: 4 + 2 x the field's number.
_MESSAGE_HEADER, _DICTIONARY_DATA, _BATCH_COMPRESSION = 8, 6, 10
# What texts are that need not be UTF-8.
_BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
# What Arrow raises over bytes that are no stream; and flatbuffers, whose offsets nobody has checked then.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError, TypeError, struct.error)


def parse_arrow(data: bytes, *, max_rows: int) -> pa.Table:
    """Read a stream; values are not judged here, but by the space's encoders. The table lies in ``data``.

    Raises:
        InvalidInput: it is no whole Arrow stream, is compressed, or two columns have one name.
        TooManyRows: it has more than ``max_rows`` rows.
    """
    try:
        _check_messages(data)
        batches: list[pa.RecordBatch] = []
        with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
            schema, rows = reader.schema, 0
            for batch in reader:
                rows += batch.num_rows
                if rows > max_rows:
                    message = f"a request must have {max_rows} rows or fewer; got more. Send several requests"
                    raise TooManyRows(message, cause="too_many_rows")
                _validate(batch)
                batches.append(batch)
        names = schema.names
    except _UNREADABLE as error:
        message = f"the body must be an Arrow stream: {error}"
        raise InvalidInput(message, cause="bad_body") from error
    if len(set(names)) < len(names):
        message = f"columns must have distinct names; got {', '.join(names)[:200]}"
        raise InvalidInput(message, cause="bad_body")
    table = pa.Table.from_batches(batches, schema)
    if not table.num_rows:
        message = "the Arrow stream must have at least one row; got none"
        raise InvalidInput(message, cause="bad_body")
    return table


def _validate(batch: pa.RecordBatch) -> None:
    """Check all that is in a batch: an offset that points past its buffer would read other memory.

    Bytes that are ASCII are UTF-8 wherever texts begin and end, and Arrow looks at each text: four times as long.
    """
    batch.validate()
    for column in batch.columns:
        as_bytes = _BYTES.get(column.type)
        values = column.buffers()[-1] if as_bytes else None
        is_ascii = values is not None and values.to_pybytes().isascii()
        (column.view(as_bytes) if is_ascii else column).validate(full=True)


def _check_messages(data: bytes) -> None:
    """Refuse a compressed stream, of which a few bytes could fill the memory, and one without an end."""
    source = pa.BufferReader(data)
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type in {"record batch", "dictionary"} and _is_compressed(message):
            text = "the Arrow stream must not be compressed inside; got compressed buffers"
            raise InvalidInput(text, cause="bad_body")
    if not data.endswith(_END) or source.tell() != len(data):
        text = f"the Arrow stream must end with its end mark, and the body with it; got {len(data)} bytes"
        raise InvalidInput(text, cause="bad_body")


def _is_compressed(message: pa.ipc.Message) -> bool:
    """Look into the message's flatbuffer: pyarrow does not tell."""
    buffer = message.metadata.to_pybytes()
    batch = _table_in(Table(buffer, int.from_bytes(buffer[:4], "little")), _MESSAGE_HEADER)
    if message.type == "dictionary":
        batch = _table_in(batch, _DICTIONARY_DATA)
    return bool(batch.Offset(_BATCH_COMPRESSION))


def _table_in(table: Table, field: int) -> Table:
    return Table(table.Bytes, table.Indirect(table.Pos + table.Offset(field)))


def write_arrow(table: pa.Table) -> bytes:
    """Return a table as a stream, not compressed."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def render_arrow(answers: Answers, outputs: OutputSchema, release: int) -> bytes:
    """Return a stream of one batch: a column an output, ``source``, ``release``, and ``fault`` where a row has none."""
    schema = answer_schema(outputs).append(pa.field("fault", FAULT))
    arrays = [*answer_arrays(answers, outputs, release), fault_array(answers)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    rendered: bytes = sink.getvalue().to_pybytes()
    return rendered
