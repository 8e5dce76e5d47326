"""What clickhouse-connect does with the embedded engine: argv is port, user, password."""

import sys
from datetime import datetime

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

COLUMNS = ["a", "b", "l", "t", "n", "x"]
CREATE = """CREATE OR REPLACE TABLE cc (a UInt32, b String, l LowCardinality(String), t DateTime, n Nullable(Int8),
            x Array(UInt16)) ENGINE = MergeTree ORDER BY a"""


def rows():
    return [
        [i, f"row {i}", f"low{i % 3}", datetime(2024, 1, 1, 0, 0, i % 60), None if i % 2 else 1, [i % 7, 1]]
        for i in range(5000)
    ]


def check(port, user, password, compress):
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=int(port), username=user, password=password, compress=compress
    )
    client.command(CREATE)
    assert client.insert("cc", rows(), column_names=COLUMNS).written_rows == 5000
    assert [list(row) for row in client.query("SELECT * FROM cc ORDER BY a").result_rows] == rows()
    for query in ("SELECT count() FROM cc WHERE a >= %(x)s", "SELECT count() FROM cc WHERE a >= {x:UInt32}"):
        assert client.query(query, {"x": 4990}).result_rows == [(10,)]
    assert client.query("SELECT * FROM cc WHERE a > 99999").result_rows == []
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        assert sum(len(block) for block in stream) == 1000000
    try:
        client.query("SELECT * FROM nowhere")
    except DatabaseError as error:
        assert "UNKNOWN_TABLE" in str(error), error
    else:
        raise AssertionError("an unknown table is an error")


if __name__ == "__main__":
    for packing in ("lz4", "zstd", "gzip", False):
        check(*sys.argv[1:4], packing)
    print("ok")
