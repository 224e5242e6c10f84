#pragma once

// What stands below the flags in `logctl VERB --help`. The manual page is made of the same facts:
// docs/man/logctl.1.scd.

namespace lignum::cli::help {

inline constexpr const char* kGlobal = R"(
Offsets count within a shard: where one is needed, write STREAM/SHARD.
Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 permission, 5 unavailable or timeout,
6 conflict, 7 local input/output or damage, 10 unhealthy, 130 interrupted.
Which nodes, from the strongest word: --endpoints, --context, LOGCTL_ENDPOINTS, LOGCTL_CONTEXT, the
current context ('logctl context use'), 127.0.0.1:7400.)";

inline constexpr const char* kAppend = R"(
A line that is wrong ends it: what stands before it is on disk, and the message says which line it
is and how to append the rest. A JSON object with two members of one name is wrong.
--deadline counts from the first connection on: where no node can be reached at the start, it ends
at once with exit code 5.

Examples:
  echo 'disk is hot' | logctl append app -l warn -F host=web1
  logctl append app --json < events.ndjson       (members become fields)
  logctl append app --syslog /var/log/messages   (levels from <PRI>)
  logctl append app/0 --expect-offset 42 event   (only if 42 is next))";

inline constexpr const char* kTail = R"(
Examples:
  logctl tail -f app                   the last 10 records, then live
  logctl tail -f -p warn 'app-*'       warnings and above of many streams, merged in order
  logctl tail -S 1h -g timeout app     the last hour, lines that match
  logctl tail -f --cursor-file c app   goes on where it stopped
A pattern is looked up once, at the start; streams made later are not followed.
The cursor file is one line; a damaged one, or one that cannot be written, ends it before the first
record with exit code 7. Without -f it ends with exit code 5 where nothing arrives for --timeout.
Levels: a name or syslog number and everything above it, or a range such as info..error.
Times: 5m, 2h, 7d (ago), today, yesterday, 2026-11-23T10:00:00Z, '2026-11-23 10:00', @seconds.)";

inline constexpr const char* kContext = R"(
Contexts are kept in $XDG_CONFIG_HOME/logctl/config.toml (~/.config/logctl/config.toml).
What counts, from the strongest: --endpoints, --context, LOGCTL_ENDPOINTS, LOGCTL_CONTEXT, the
current context, 127.0.0.1:7400.

Examples:
  logctl context add prod 10.0.0.1:7400,10.0.0.2:7400
  logctl context use prod
  logctl --context prod tail app)";

inline constexpr const char* kRead = R"(
Reads to the end that the stream has now, and ends. All shards come merged, by append time.
--from and --to take times; with STREAM/SHARD also offsets, which count within that shard: --from
is the first one shown, --to the first one not shown. --since and --until take times only. Ends with
exit code 5 where nothing arrives for --timeout.

Examples:
  logctl read app                       everything
  logctl read app --from 1h --to 30m    between one hour and half an hour ago
  logctl read app/2 --from 100 -n 20    20 records of shard 2, from offset 100
  logctl read app -o json > app.ndjson)";

inline constexpr const char* kStreams = R"(
A stream is a named log, cut into shards when it is made; records of one key share a shard and keep
their order. Names: [A-Za-z0-9._-], at most 249 characters, no '-' in front.

Examples:
  logctl streams create app --shards 8 --retention 30d
  logctl streams ls -o json
  logctl streams describe app           groups, offsets and sizes of its shards
  logctl streams trim app/0 --before 1000
  logctl streams delete app)";

inline constexpr const char* kStreamsCreate = R"(
Making a stream that exists with the same settings succeeds; with others it is a conflict (exit
code 6). Retention deletes the oldest records once they are older than --retention or the stream is
larger than --retention-bytes.

Example:
  logctl streams create app --shards 8 --retention 30d --retention-bytes 100GiB)";

inline constexpr const char* kStreamsTrim = R"(
Deletes the records below an offset of one shard, for good. Says how many and asks for the stream's
name first; where nobody can be asked, --yes is needed. An offset above the shard's end is refused
(exit code 6); one at its start or below deletes nothing.

Examples:
  logctl streams trim app/0 --before 1000 --dry-run
  logctl streams trim app/0 --before 1000 --yes)";

inline constexpr const char* kStreamsDelete = R"(
Deletes a stream and its records, for good. Asks for its name first; where nobody can be asked,
--yes is needed.

Example:
  logctl streams delete app --yes)";

inline constexpr const char* kStat = R"(
Exit code 10 means unhealthy: the disk is full or a group is damaged. Index numbers are positions
in a group's Raft log, not offsets.

Examples:
  logctl stat
  logctl stat -o json | jq '.groups[] | select(.damage)')";

inline constexpr const char* kVerify = R"(
Reads every file of a data directory and checks every byte that logd relies on; changes nothing.
Each finding is 'damage' (exit code 7), or what a crash leaves and the next start of logd cleans up:
'torn' (a write cut short) and 'leftover' (a file of unfinished work).

Examples:
  logctl verify /var/lib/lignum
  logctl verify --map /var/lib/lignum | less
  logctl verify /var/lib/lignum -o json | jq 'select(.finding == "damage")')";

inline constexpr const char* kNode = R"(
Example:
  logctl node log-level debug           until the node restarts)";

inline constexpr const char* kCompletion = R"(
Examples:
  source <(logctl completion bash)
  logctl completion zsh > "${fpath[1]}/_logctl"
  logctl completion fish > ~/.config/fish/completions/logctl.fish)";

}  // namespace lignum::cli::help
