#!/usr/bin/env bash
# Finding: fastavro and Apache's Python Avro convert logical types by the writer's
# schema, whatever the reader's says. A reader's schema with a plain long does not get
# the number of a timestamp-millis but a datetime, and if the time is outside the years
# 1 to 9999, which Avro allows, the whole record still fails with an OverflowError: the plain long, which one would try
# first to get past it, changes nothing. A reader's schema with a timestamp-millis gets
# an int from a writer's plain long, and one with a double gets a datetime. One would
# expect the values that the reader's schema describes. The way out is to drop the
# attribute from the writer's schema before reading with it, because it does not change
# the encoding.
#
# Needs Python 3 with PyPI. Exits 0 while the behaviour is as described.
set -euo pipefail
avro=1.12.2
fastavro=1.13.1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >read.py <<'PY'
import io
import json

import avro.io
import avro.schema
import fastavro

TIME = {"type": "long", "logicalType": "timestamp-millis"}
IN_2026, IN_10000 = 1_767_225_600_000, 253_402_300_800_000


def order(of):
    return {"type": "record", "name": "Order", "fields": [{"name": "at", "type": of}]}


def encode(number):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, order("long"), {"at": number})
    return out.getvalue()


def with_fastavro(data, writer, reader):
    return fastavro.schemaless_reader(io.BytesIO(data), writer, reader)


def with_avro(data, writer, reader):
    writer, reader = (avro.schema.parse(json.dumps(s)) for s in (writer, reader))
    return avro.io.DatumReader(writer, reader).read(avro.io.BinaryDecoder(io.BytesIO(data)))


for library, read in (("fastavro", with_fastavro), ("avro", with_avro)):
    for what, number, writer, reader in (
        ("timestamp read as long", IN_2026, TIME, "long"),
        ("timestamp read as double", IN_2026, TIME, "double"),
        ("long read as timestamp", IN_2026, "long", TIME),
        ("timestamp of the year 10000 read as long", IN_10000, TIME, "long"),
        ("the same, with a long in the writer's schema too", IN_10000, "long", "long"),
    ):
        try:
            got = type(read(encode(number), order(writer), order(reader))["at"]).__name__
        except Exception as err:
            got = type(err).__name__
        print(f"{library}: {what}: {got}")
PY
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check "avro==$avro" "fastavro==$fastavro"
out=$(venv/bin/python read.py)
echo "fastavro $fastavro, avro $avro"
echo "$out"
want="fastavro: timestamp read as long: datetime
fastavro: timestamp read as double: datetime
fastavro: long read as timestamp: int
fastavro: timestamp of the year 10000 read as long: OverflowError
fastavro: the same, with a long in the writer's schema too: int
avro: timestamp read as long: datetime
avro: timestamp read as double: datetime
avro: long read as timestamp: int
avro: timestamp of the year 10000 read as long: OverflowError
avro: the same, with a long in the writer's schema too: int"
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
