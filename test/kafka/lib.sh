# Shared by kafka.sh and registry.sh; do not run it.
#
# A service's files are fetched once into $KAFKA_TEST_DIR (default
# ${XDG_CACHE_HOME:-$HOME/.cache}/hubspot-cdc-test). Results are NAME=VALUE lines
# on stdout; everything else goes to stderr.

cache=${KAFKA_TEST_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hubspot-cdc-test}

note() { echo "$0: $*" >&2; }
die() { note "$@"; exit 1; }

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || die "needs $tool, which is not installed"
  done
}

# alive PIDFILE WORD: the process runs and is ours (a pid may be reused).
alive() {
  [ -s "$1" ] && tr '\0' '\n' <"/proc/$(cat "$1")/cmdline" 2>/dev/null | grep -qF -- "$2"
}

open_port() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# until_ready SECONDS OUTPUT PIDFILE COMMAND: waits until the command succeeds,
# or the process has ended.
until_ready() {
  local left=$(($1 * 5))
  until "$4"; do
    kill -0 "$(cat "$3")" 2>/dev/null || { tail -n 20 "$2" >&2; die "it has ended; see $2"; }
    left=$((left - 1))
    [ "$left" -gt 0 ] || die "not ready after $1 s; see $2"
    sleep 0.2
  done
}

# end SIGNAL PIDFILE WORD: ends the process and waits until it is gone.
end() {
  local pid tries=100
  if alive "$2" "$3"; then
    pid=$(cat "$2")
    kill "-$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do
      tries=$((tries - 1))
      [ "$tries" -gt 0 ] || kill -9 "$pid" 2>/dev/null || true
      sleep 0.2
    done
  fi
  rm -f "$2"
}
