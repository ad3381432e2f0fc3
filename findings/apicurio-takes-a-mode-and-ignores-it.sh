#!/usr/bin/env bash
# Finding: Apicurio's Confluent API (ccompat v7) answers 204 to PUT /mode/{subject}
# with {"mode":"IMPORT"}, and does nothing. A schema that is registered after that
# with an id gets another one, with the answer 200, and the id that was asked for
# stays unknown. It is no answer of something that never reads the request: a mode
# that does not exist is refused with 400. One would expect 404, 405 or 501 of a
# registry that has no modes. So a tool that copies schemas with their ids (to restore
# a registry, or to move to another one) ends without an error, and the records that
# name the old ids can no longer be read, or are read with whatever has those ids now.
# What tells is the answer's body: a registry with modes answers with the mode.
#
# Needs Java 17, Maven with Maven Central, curl, and the port 25081
# (REGISTRY_TEST_PORT). Exits 0 while the behaviour is as described.
set -euo pipefail
version=3.0.9
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
export KAFKA_TEST_DIR=$dir REGISTRY_TEST_PORT=${REGISTRY_TEST_PORT:-25081}
registry=$here/../test/kafka/registry.sh # starts Apicurio's jar, in memory
trap '"$registry" stop; rm -rf "$dir"' EXIT
eval "$("$registry" start)"
[ -d "$dir/apicurio-$version" ] || { echo "$registry starts another version than $version"; exit 1; }

ask() { # METHOD PATH [BODY]: the answer's body and status
  curl -s --noproxy '*' -X "$1" -H 'Content-Type: application/vnd.schemaregistry.v1+json' \
    ${3:+-d "$3"} -w ' (%{http_code})' "$SCHEMA_REGISTRY_URL$2"
}
status() { ask "$@" | sed 's/.*(\(.*\))$/\1/'; }
schema='"{\"type\":\"record\",\"name\":\"Order\",\"fields\":[]}"'
out=$(
  echo "PUT mode IMPORT:$(ask PUT /mode/orders-value '{"mode":"IMPORT"}')"
  echo "PUT mode NO_SUCH_MODE: $(status PUT /mode/orders-value '{"mode":"NO_SUCH_MODE"}')"
  echo "GET mode:$(ask GET /mode/orders-value)"
  echo "register with id 4711: $(ask POST /subjects/orders-value/versions "{\"schema\":$schema,\"id\":4711,\"version\":1}")"
  echo "GET schema 4711: $(status GET /schemas/ids/4711)"
)
echo "Apicurio Registry $version"
echo "$out"
want='PUT mode IMPORT: (204)
PUT mode NO_SUCH_MODE: 400
GET mode: (204)
register with id 4711: {"id":1} (200)
GET schema 4711: 404'
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
