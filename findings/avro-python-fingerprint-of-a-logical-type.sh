#!/usr/bin/env bash
# Finding: for a schema with a date, a time or a decimal, Apache's Python Avro makes
# another fingerprint than the other libraries. Its parsing canonical form drops the
# attribute logicalType but keeps the object around the name of the type
# ({"type":"long"}), where the specification has the name alone and so does this library
# for a field without the attribute. One would expect the same 8 or 16 bytes from each
# library: that is what a fingerprint is for. A service that looks for schemas by
# fingerprint (single-object encoding, a cache that Python fills and Node reads, "is
# this the schema that was registered?") never finds those of records with a time, and
# finds all the others. Two schemas that differ in the logical type alone have two
# fingerprints here and one in fastavro and avsc.
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
cat >fields.json <<'JSON'
[
  ["date", {"type": "int", "logicalType": "date"}, "int"],
  ["timestamp-millis", {"type": "long", "logicalType": "timestamp-millis"}, "long"],
  ["decimal", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "bytes"]
]
JSON
cat >fingerprints.py <<'PY'
import json

import avro.schema
import fastavro.schema

for library, fingerprint in (
    ("avro", lambda s: avro.schema.parse(json.dumps(s)).fingerprint("md5").hex()),
    ("fastavro", lambda s: fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(s), "MD5")),
):
    for name, *types in json.load(open("fields.json")):
        schemas = ({"type": "record", "name": "Order", "fields": [{"name": "f", "type": t}]} for t in types)
        print(library, name, *map(fingerprint, schemas))
PY
cat >fingerprints.cjs <<'JS'
const avsc = require('avsc')
for (const [name, ...types] of require('./fields.json')) {
  const schemas = types.map(type => avsc.Type.forSchema({ type: 'record', name: 'Order', fields: [{ name: 'f', type }] }))
  console.log('avsc', name, ...schemas.map(s => s.fingerprint('md5').toString('hex')))
}
JS
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check "avro==$avro" "fastavro==$fastavro"
npm init -y >/dev/null && npm install --silent "avsc@$avsc" >/dev/null
all=$(venv/bin/python fingerprints.py; node fingerprints.cjs)
echo "avro $avro, fastavro $fastavro, avsc $avsc; MD5 fingerprints of a record with a logical type, and with the plain type"
echo "$all"
# Each of fastavro's, and of avro's those of the plain types, are avsc's.
out=$(awk '
  { print $1, $2, $3 == $4 ? "the same" : "different" }
  $2 in plain && plain[$2] != $4 { print $1, $2, "has another one for the plain type" }
  { plain[$2] = $4 }' <<<"$all")
echo "$out"
want='avro date different
avro timestamp-millis different
avro decimal different
fastavro date the same
fastavro timestamp-millis the same
fastavro decimal the same
avsc date the same
avsc timestamp-millis the same
avsc decimal the same'
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
