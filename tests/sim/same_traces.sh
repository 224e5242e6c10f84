#!/usr/bin/env bash
# The same seeds give the same runs, event by event, whatever the compiler made of the program:
# runs them twice with each of the given builds of jepsen and compares the hashes of all traces.
#
#   tests/sim/same_traces.sh 1..500 build/dev/bin/jepsen build/release/bin/jepsen ...
set -euo pipefail

[ $# -ge 2 ] || {
  echo "usage: $0 FIRST..LAST JEPSEN..." >&2
  exit 2
}
seeds=$1
shift
first=""
status=0
for binary in "$@"; do
  for run in 1 2; do
    # A seed that fails is a run like any other here.
    summary=$("$binary" sim --seeds "$seeds" --jobs "$(nproc)") || true
    hash=$(sed -n 's/^ *[0-9]* events, traces \([0-9a-f]*\)$/\1/p' <<<"$summary")
    printf '%s  run %s  %s\n' "${hash:-none}" "$run" "$binary"
    first=${first:-$hash}
    [ -n "$hash" ] && [ "$hash" = "$first" ] || status=1
  done
done
[ "$status" = 0 ] || echo "the traces differ" >&2
exit "$status"
