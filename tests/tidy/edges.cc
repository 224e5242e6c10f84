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

// Where sockets, and the threads that serve them, live.
const Names kNetEdges = {"net/client.cc",        "net/client_shell", "net/client_socket",
                         "net/client_tail.",     "net/lanes",        "net/rpc_",
                         "net/connection_census"};
const Names kServerEdges = {"server/app",       "server/main",    "server/lane_",
                            "server/work_pool", "server/logging", "server/signals"};
const Names kOutside = {"cli/", "jepsen/live/", "jepsen/seed_farm.", "tests/"};

Names operator+(Names left, const Names& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const std::vector<Edge>& edges() {
  static const std::vector<Edge> kEdges = {
      {.what = "a thread",
       .words = {"std::thread", "std::jthread", "std::async", "pthread_create"},
       .rooms = kNetEdges + kServerEdges + kOutside},
      {.what = "a lock other than the annotated Mutex",
       .words = {"std::mutex", "std::shared_mutex", "std::recursive_mutex",
                 "std::condition_variable", "std::lock_guard", "std::unique_lock",
                 "std::scoped_lock"},
       .rooms = {"raft/mutex.h"}},
      {.what = "a clock",
       .words = {"steady_clock", "system_clock", "high_resolution_clock", "clock_gettime",
                 "gettimeofday", "std::time"},
       .rooms = kNetEdges + kServerEdges + kOutside},
      {.what = "Asio", .words = {"boost/asio"}, .rooms = kNetEdges + kServerEdges + kOutside},
      {.what = "a random device",
       .words = {"std::random_device", "getrandom"},
       .rooms = kNetEdges + kServerEdges + kOutside},
      {.what = "a sleep",
       .words = {"sleep_for", "sleep_until", "usleep", "nanosleep"},
       .rooms = {}},
      {.what = "a system call on files",
       .words = {"::open", "::pread", "::pwrite", "::fdatasync", "::fsync", "::rename", "::unlink"},
       .rooms = kServerEdges + kOutside + Names{"storage/posix_"}},
  };
  return kEdges;
}

bool in_room(std::string_view path, const Names& rooms) {
  return std::ranges::any_of(rooms, [&](auto room) { return path.starts_with(room); });
}

void check_line(const std::string& line, const Edge& edge, Finding place, Findings& findings) {
  for (const std::string_view word : edge.words) {
    if (has_word(line, word)) {
      place.message = std::string(word) + ": " + std::string(edge.what) +
                      " belongs at the edges (see tests/tidy/edges.cc)";
      findings.push_back(place);
    }
  }
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
      if (in_room(path, edge.rooms)) {
        continue;
      }
      int number = 0;
      for (const std::string& line : lines) {
        check_line(line, edge, {.file = path, .line = ++number, .message = ""}, findings);
      }
    }
  }
  return findings;
}

}  // namespace lignum::tidy
