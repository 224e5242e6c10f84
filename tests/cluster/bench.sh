#!/usr/bin/env bash
# Measures a logd of its own beside what this machine allows without a log.
# usage: bench.sh DIRECTORY_OF_BINARIES [flags of logctl bench append]      (./dev bench calls it)
set -euo pipefail

bin=$PWD/${1:?}
shift
# shellcheck source=tests/cluster/node.sh
. "${BASH_SOURCE[0]%/*}/node.sh"

[ $# -gt 0 ] || set -- --size 100,1KiB,16KiB --in-flight 1,64,1024 --groups 1,8
make_room bench
start_logd "$bin"
"$bin/logctl" --endpoints "$endpoint" bench append "$@"
