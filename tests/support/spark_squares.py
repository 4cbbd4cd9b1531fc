"""A program for ``spark-submit``: Python in the executors, Arrow, and a file system by URL.

Writes the squares of 0..999 to the URL it is given, reads them back, and prints their sum.
"""

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession


def squares(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_arrays([pc.multiply(batch.column(0), batch.column(0))], ["square"])


session = SparkSession.builder.appName("squares").getOrCreate()
session.range(1000, numPartitions=2).mapInArrow(squares, "square long").write.parquet(sys.argv[1])
print(session.sparkContext.master, session.read.parquet(sys.argv[1]).agg({"square": "sum"}).collect()[0][0])
