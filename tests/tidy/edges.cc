#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/rules.h"
#include "tests/tidy/tree.h"

namespace lignum::tidy {

namespace {

using Names = std::vector<std::string_view>;

// Words that reach the outside world, and the rooms where it begins.
struct Edge {
  std::string_view what;
  Names words;
  // Starts of paths.
  Names rooms;
};

const std::vector<Edge>& edges() {
  static const std::vector<Edge> kEdges = {
      {"a thread",
       {"std::thread", "std::jthread", "std::async", "pthread_create"},
       {"storage/flush_workers", "net/", "server/app", "server/main", "server/lane_",
        "server/work_pool", "cli/", "jepsen/live/", "tests/"}},
      {"a lock outside the annotated Mutex",
       {"std::mutex", "std::shared_mutex", "std::recursive_mutex", "std::condition_variable",
        "std::lock_guard", "std::unique_lock", "std::scoped_lock"},
       {"raft/mutex.h"}},
      {"a clock",
       {"steady_clock", "system_clock", "high_resolution_clock", "clock_gettime", "gettimeofday",
        "std::time"},
       {"storage/flush_workers", "net/", "server/app", "server/main", "server/lane_",
        "server/work_pool", "server/clock", "server/logging", "cli/", "jepsen/live/", "tests/"}},
      {"a random device",
       {"std::random_device", "getrandom"},
       {"net/", "server/app", "server/", "cli/", "tests/"}},
      {"a sleep", {"sleep_for", "sleep_until", "usleep", "nanosleep"}, {}},
      {"a system call on files",
       {"::open", "::pread", "::pwrite", "::fdatasync", "::fsync", "::rename", "::unlink"},
       {"storage/posix_", "server/", "cli/", "jepsen/live/", "tests/"}},
  };
  return kEdges;
}

bool in_room(std::string_view path, const Names& rooms) {
  return std::ranges::any_of(rooms, [&](auto room) { return path.starts_with(room); });
}

// server/group, shard and meta are run by the simulator and see no outside world, whatever the
// other rooms of server/ may.
bool is_deterministic(std::string_view path) {
  return in_room(path, {"server/group/", "server/shard/", "server/meta/"});
}

}  // namespace

Findings check_edges(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    if (!is_source(path)) {
      continue;
    }
    const auto lines = code_lines_of(text);
    for (const Edge& edge : edges()) {
      if (!is_deterministic(path) && in_room(path, edge.rooms)) {
        continue;
      }
      for (std::size_t i = 0; i < lines.size(); ++i) {
        for (const std::string_view word : edge.words) {
          if (has_word(lines[i], word)) {
            findings.push_back({path, static_cast<int>(i + 1),
                                std::string(word) + ": " + std::string(edge.what) +
                                    " belongs at the edges (see tests/tidy/edges.cc)"});
          }
        }
      }
    }
  }
  return findings;
}

}  // namespace lignum::tidy
