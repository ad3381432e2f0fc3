#!/usr/bin/env bash
# A schema registry on 127.0.0.1 for tests: Apicurio in memory, with
# Confluent's API. Needs Java 17, mvn and curl.
#
#   registry.sh start    fetch what is missing, start it unless it runs
#   registry.sh stop     end it; what was registered is gone
#   registry.sh status   exit code 0 if it runs
#
# start and status print SCHEMA_REGISTRY_URL and REGISTRY_LOG.
# REGISTRY_TEST_PORT (21081) chooses the port.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=3.0.9 # the last line that runs on Java 17
port=${REGISTRY_TEST_PORT:-21081}
app=$cache/apicurio-$version
jar=$app/apicurio-registry-app-$version-runner.jar
home=$cache/registry-run-$port
pidfile=$home/pid
log=$home/registry.log
url=http://127.0.0.1:$port/apis/ccompat/v7

fetch() {
  [ -e "$app/complete" ] && return
  need mvn tar
  note "fetching Apicurio Registry $version"
  mkdir -p "$app"
  local artifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all
  mvn -q -B dependency:get -Dtransitive=false -Dartifact="$artifact" >&2
  mvn -q -B dependency:copy -Dartifact="$artifact" -DoutputDirectory="$app" -Dmdep.useBaseVersion=true >&2
  tar -xzf "$app"/*.tar.gz -C "$app"
  rm "$app"/*.tar.gz
  touch "$app/complete"
}

answers() { curl -fs -o /dev/null --noproxy '*' --max-time 3 "$url/subjects"; }

show() { printf 'SCHEMA_REGISTRY_URL=%s\nREGISTRY_LOG=%s\n' "$url" "$log"; }

start() {
  if alive "$pidfile" "$jar"; then
    until_ready 60 "$log" "$pidfile" answers
    show
    return
  fi
  need java curl
  ! open_port "$port" || die "port $port is taken; choose another with REGISTRY_TEST_PORT"
  fetch
  mkdir -p "$home"
  cd "$home"
  QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$port \
    setsid java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -jar "$jar" </dev/null >"$log" 2>&1 &
  echo $! >"$pidfile"
  until_ready 90 "$log" "$pidfile" answers
  # Apicurio checks nothing unless told to; this is Confluent's default.
  curl -fs -o /dev/null --noproxy '*' -X PUT -H 'Content-Type: application/json' \
    -d '{"compatibility":"BACKWARD"}' "$url/config" || die "could not set the compatibility"
  show
}

case ${1:-} in
  start) start ;;
  stop) end TERM "$pidfile" "$jar" ;;
  status) alive "$pidfile" "$jar" && answers && show ;;
  *) die "usage: $0 start|stop|status" ;;
esac
