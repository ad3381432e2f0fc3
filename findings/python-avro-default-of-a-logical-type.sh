#!/usr/bin/env bash
# Finding: with fastavro and with Apache's Python Avro, a field of a date or a time has
# two Python types. Where the record was written with the field, it is a date or a
# datetime. Where the record is older than the field, so that the default of the
# reader's schema fills it in, it is what stands in the schema's JSON: an int. For bytes
# fastavro gives a str, and Apache's library the UTF-8 of that text (b'\xc3\xbf' for
# "\u00ff", which the specification defines as the one byte FF). One would expect a
# default to be read like a value, as avsc does. A consumer whose schema is newer than
# its oldest events fails there, in a comparison or in a driver, and only there; a new
# topic never shows it. A default of null is safe.
#
# Needs Python 3 with PyPI, Node and npm's registry. Exits 0 while the behaviour is as
# described.
set -euo pipefail
avro=1.12.2
fastavro=1.13.1
avsc=5.7.9
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >schemas.json <<'JSON'
{
  "older": {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]},
  "newer": {"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}, "default": 0},
    {"name": "raw", "type": "bytes", "default": "\u00ff"},
    {"name": "until", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}
  ]}
}
JSON
cat >read.py <<'PY'
import io
import json

import avro.io
import avro.schema
import fastavro

schemas = json.load(open("schemas.json"))
older, newer = schemas["older"], schemas["newer"]


def with_fastavro(data, writer, reader):
    return fastavro.schemaless_reader(io.BytesIO(data), writer, reader)


def with_avro(data, writer, reader):
    writer, reader = (avro.schema.parse(json.dumps(s)) for s in (writer, reader))
    return avro.io.DatumReader(writer, reader).read(avro.io.BinaryDecoder(io.BytesIO(data)))


for library, read in (("fastavro", with_fastavro), ("avro", with_avro)):
    # The string "a", and for the newer schema 0, 0, the byte FF and null.
    for what, data, writer in (("written", b"\x02a\x00\x00\x02\xff\x00", newer), ("defaults", b"\x02a", older)):
        order = read(data, writer, newer)
        print(f"{library}, {what}:", type(order["at"]).__name__, type(order["day"]).__name__, ascii(order["raw"]), order["until"])
PY
cat >read.cjs <<'JS'
const avsc = require('avsc')
class Time extends avsc.types.LogicalType {
  _fromValue(ms) { return new Date(ms) }
  _toValue(date) { return date.getTime() }
}
const { older, newer } = require('./schemas.json')
const writer = avsc.Type.forSchema(older)
const reader = avsc.Type.forSchema(newer, { logicalTypes: { 'timestamp-millis': Time } })
const show = (what, o) => console.log(`avsc, ${what}:`, o.at.constructor.name, o.raw.toString('hex'), o.until)
show('written', reader.fromBuffer(Buffer.from('0261000002ff00', 'hex')))
show('defaults', reader.fromBuffer(Buffer.from('0261', 'hex'), reader.createResolver(writer)))
JS
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check "avro==$avro" "fastavro==$fastavro"
npm init -y >/dev/null && npm install --silent "avsc@$avsc" >/dev/null
out=$(venv/bin/python read.py; node read.cjs)
echo "fastavro $fastavro, avro $avro, avsc $avsc"
echo "$out"
want="fastavro, written: datetime date b'\xff' None
fastavro, defaults: int int '\xff' None
avro, written: datetime date b'\xff' None
avro, defaults: int int b'\xc3\xbf' None
avsc, written: Date ff null
avsc, defaults: Date ff null"
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
