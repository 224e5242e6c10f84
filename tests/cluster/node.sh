# shellcheck shell=bash
# Sourced by demo.sh and bench.sh: a logd of one's own, and the cleaning up after it.

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Sets `room`, a directory of this run on the disk that build/ is on, and lets it go at the end
# together with every process started through start_logd or remembered in `helpers`.
make_room() {
  mkdir -p build
  room=$(mktemp -d "$PWD/build/${1:?}.XXXXXX")
  helpers=()
  trap 'leave_room' EXIT
  trap 'printf "%s: line %s failed\n" "${0##*/}" "$LINENO" >&2' ERR
  trap 'exit 130' INT TERM
}

leave_room() {
  set +e
  local process
  for process in ${logd_process:-} "${helpers[@]}"; do
    kill -9 "$process" 2>/dev/null && wait "$process" 2>/dev/null
  done
  rm -rf "$room"
}

# Waits up to a minute for a condition.
wait_until() { # command...
  local tries
  for ((tries = 0; tries < 1200; tries++)); do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  return 1
}

# Starts logd in `room` and waits until it serves: sets `endpoint` and `logd_process`. A second
# start serves on the same port. Descriptor 3 is the caller's own.
start_logd() { # directory of binaries, flags...
  local bin=$1 port_file=$room/port
  shift
  rm -f "$port_file"
  "$bin/logd" --listen "${endpoint:-127.0.0.1:0}" --data "$room/data" --port-file "$port_file" \
    "$@" 2>>"$room/logd.log" </dev/null 3>&- &
  logd_process=$!
  wait_until serving "$port_file" || {
    cat "$room/logd.log" >&2
    die "logd did not start"
  }
  # shellcheck disable=SC2034  # for those who source this
  endpoint=127.0.0.1:$(cat "$port_file")
}

# True when the port is known; ends the wait where logd has ended.
serving() {
  [ -s "$1" ] && return 0
  kill -0 "$logd_process" 2>/dev/null || {
    cat "$room/logd.log" >&2
    die "logd ended"
  }
  return 1
}

kill_logd() {
  kill -9 "$logd_process"
  wait "$logd_process" 2>/dev/null || true
}
