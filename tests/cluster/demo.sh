#!/usr/bin/env bash
# The demo: a real log goes in, the server is killed in the middle, nothing is lost.
# usage: demo.sh DIRECTORY_OF_BINARIES [--fast]      (./dev demo calls it)
set -euo pipefail

bin=$PWD/${1:?}
lines_max=100000 kills=3
case ${2:-} in
  "") ;;
  --fast) lines_max=3000 kills=1 ;;
  *)
    printf 'demo: unknown option %s (--fast)\n' "$2" >&2
    exit 2
    ;;
esac
# shellcheck source=tests/cluster/node.sh
. "${BASH_SOURCE[0]%/*}/node.sh"

make_room demo
logctl() { "$bin/logctl" --endpoints "$endpoint" "$@"; }

# ---------------------------------------------------------------- the log that goes in

# Debian's package log as JSON lines: a level by the action, the rest as fields.
#   2026-11-23 11:21:54 status half-configured libc-bin:amd64 2.36-9+deb12u14
dpkg_records() {
  { cat /var/log/dpkg.log.1 /var/log/dpkg.log 2>/dev/null || true; } | awk '
    function quoted(s) { gsub(/[\\"]/, "\\\\&", s); return "\"" s "\"" }
    NF >= 4 {
      action = $3
      level = "debug"
      if (action == "install" || action == "upgrade") level = "info"
      if (action == "remove" || action == "purge") level = "warn"
      if (action == "conffile") level = "notice"
      if (/error/) level = "error"
      package = action == "status" ? $5 : $4
      printf "{\"level\":\"%s\",\"action\":%s,\"package\":%s,\"message\":%s}\n",
        level, quoted(action), quoted(package), quoted($0)
    }'
}

# The log of the build: what was made, and a warning where it took long.
build_records() {
  { cat build/*/.ninja_log 2>/dev/null || true; } | awk '
    /^[0-9]/ {
      took = $2 - $1
      level = took > 20000 ? "warn" : took > 5000 ? "info" : "debug"
      printf "{\"level\":\"%s\",\"action\":\"build\",\"message\":\"%s in %d ms\"}\n", level, $4, took
    }'
}

collect_log() {
  dpkg_records >"$room/log"
  source="the Debian package log"
  if [ "$(wc -l <"$room/log")" -lt 3000 ]; then
    build_records >>"$room/log"
    source="the Debian package log and the log of the build"
  fi
  # Each record has a number, by which it is known again.
  head -n "$lines_max" "$room/log" | awk '{ sub(/^\{/, "{\"line\":\"" NR "\","); print }' \
    >"$room/records"
  total=$(wc -l <"$room/records")
  loud=$(grep -cvE '"level":"debug"' "$room/records" || true)
}

# ----------------------------------------------------------------

numbers() { sed -n 's/.*"line":"\([0-9]*\)".*/\1/p'; }
stored() { logctl read packages -o cat 2>/dev/null | wc -l; }
has_stored() { [ "$(stored)" -ge "$1" ]; }
seen_by_tail() { [ "$(wc -l <"$room/tail")" -ge "$1" ]; }

collect_log
say "1. A server, with its data in a new directory"
start_logd "$bin"
say "   logd serves $endpoint (process $logd_process)"
logctl --quiet streams create packages --shards 1

say
say "2. Somebody watches it live, but not the debug chatter"
say "   \$ logctl tail -f -n 0 -p info packages"
"$bin/logctl" --endpoints "$endpoint" tail -f -n 0 -p info -o json packages \
  >"$room/tail" 2>"$room/tail.err" &
helpers+=($!)

say
say "3. $total lines of $source go in, each with a level"
say "   \$ logctl append packages --json < log"
mkfifo "$room/pipe"
"$bin/logctl" --endpoints "$endpoint" append packages --json \
  <"$room/pipe" >"$room/append.out" 2>"$room/append.err" &
append_process=$!
helpers+=("$append_process")
exec 3>"$room/pipe"

from=1
for ((kill = 1; kill <= kills; kill++)); do
  to=$((total * kill / (kills + 1)))
  sed -n "${from},${to}p" "$room/records" >&3
  wait_until has_stored $((from + (to - from) / 4)) || die "nothing arrives"
  # More is on its way while the server dies.
  sed -n "$((to + 1)),$((to + total / 20))p" "$room/records" >&3
  from=$((to + total / 20 + 1))
  dead=$logd_process
  kill_logd
  say
  say "   kill -9 $dead: the server is gone, the append is still running"
  start_logd "$bin"
  say "   restarted (process $logd_process): $(stored) records are there; the append goes on"
done
sed -n "${from},\$p" "$room/records" >&3
exec 3>&-
wait "$append_process" || {
  cat "$room/append.err" >&2
  die "the append failed"
}
say
say "   $(cat "$room/append.err" "$room/append.out" | tail -n 1)"

say
say "4. What is there?"
logctl read packages -o json >"$room/read"
numbers <"$room/records" >"$room/wanted"
numbers <"$room/read" >"$room/got"
sort "$room/wanted" >"$room/wanted.sorted"
sort "$room/got" >"$room/got.sorted"
lost=$(uniq "$room/got.sorted" | comm -23 "$room/wanted.sorted" - | wc -l)
doubled=$(uniq -d "$room/got.sorted" | wc -l)
reordered=$(awk '$1 + 0 < last { n++ } { last = $1 + 0 } END { print n + 0 }' "$room/got")
say "   $total records acknowledged, $(wc -l <"$room/read") read back:" \
  "$lost lost, $doubled doubled, $reordered out of order"
cmp "$room/wanted" "$room/got" || die "the log is not what was acknowledged"

wait_until seen_by_tail "$loud" || die "the tail saw $(wc -l <"$room/tail") of $loud records"
grep -vE '"level":"debug"' "$room/records" | numbers >"$room/loud"
numbers <"$room/tail" | cmp "$room/loud" - || die "the tail saw something else"
say "   the live tail saw the $loud records above debug, once each and in order, through" \
  "$kills kill$([ "$kills" = 1 ] || echo s)"
say
logctl tail -n 5 -p info packages | sed 's/^/   /'
say
say "Every acknowledged record survived kill -9, once and in order."
