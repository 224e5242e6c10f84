#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/tidy/rules.h"
#include "tests/tidy/tree.h"

namespace lignum::tidy {

namespace {

using Names = std::vector<std::string_view>;

// A path matches a name that is the path itself, a folder of it ("net/"), or its start without a
// suffix ("storage/record" matches storage/record_batch.cc).
bool matches(std::string_view path, const Names& names) {
  return std::ranges::any_of(names, [&](auto name) { return path.starts_with(name); });
}

const Names kVocabulary = {"raft/types.h",  "raft/error.",     "raft/check.",   "raft/random.",
                           "raft/mutex.h",  "raft/options.",   "raft/payload.", "raft/mutant",
                           "raft/buggify.", "raft/last_words."};
// Pure codecs, a small library of storage/.
const Names kFormats = {"storage/record",     "storage/crc32c", "storage/compression",
                        "storage/byte_order", "storage/level.", "storage/chain."};
// What of net/ is pure and known to the state machines.
const Names kPureNet = {"net/hash_ring",    "net/routing_table",     "net/partitioner",
                        "net/peer_message", "net/snapshot_messages", "net/repair_messages",
                        "net/proto/"};
const Names kCompression = {"zstd.h", "lz4.h",    "lz4frame.h", "snappy.h", "snappy-sinksource.h",
                            "zlib.h", "xxhash.h", "isa-l.h",    "isa-l/"};

// One floor: the files that stand on it, what of the project they may include, and which third
// parties. The first row that owns a file counts.
struct Floor {
  std::string_view name;
  Names files;
  Names project;
  Names third_parties;
};

Names operator+(Names left, const Names& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const std::vector<Floor>& floors() {
  static const std::vector<Floor> kFloors = {
      {.name = "vocabulary", .files = kVocabulary, .project = kVocabulary, .third_parties = {}},
      {.name = "raft core", .files = {"raft/"}, .project = {"raft/"}, .third_parties = {}},
      {.name = "formats",
       .files = kFormats,
       .project = kVocabulary + kFormats,
       .third_parties = kCompression + Names{"fmt/"}},
      {.name = "storage",
       .files = {"storage/"},
       // output.h for the hard state, which storage keeps.
       .project =
           kVocabulary + Names{"raft/entry.h", "raft/hard_state.h", "raft/output.h", "storage/"},
       .third_parties = kCompression + Names{"fmt/", "leveldb/"}},
      {.name = "net",
       .files = {"net/"},
       .project = kVocabulary + kFormats +
                  Names{"raft/entry.h", "raft/membership.h", "raft/messages.h",
                        "storage/log_mark.h", "net/"},
       .third_parties = {"fmt/", "boost/", "google/", "openssl/", "xxhash.h"}},
      {.name = "server core",
       .files = {"server/group/", "server/shard/", "server/meta/"},
       // The router is the table that meta hands to the services.
       .project = Names{"raft/", "storage/", "server/group/", "server/shard/", "server/meta/",
                        "server/router.h"} +
                  kPureNet,
       .third_parties = {"fmt/", "google/", "xxhash.h"}},
      {.name = "server",
       .files = {"server/"},
       .project = {"raft/", "storage/", "net/", "server/"},
       .third_parties = {"fmt/", "boost/", "google/", "spdlog/", "CLI/", "toml++/", "openssl/"}},
      {.name = "cli",
       .files = {"cli/"},
       .project = kVocabulary + Names{"raft/entry.h", "storage/", "net/", "cli/"},
       // The bound of the benchmark speaks the wire protocol; Boost.JSON reports by error_code.
       .third_parties = {"fmt/", "boost/json", "boost/system/", "google/", "CLI/", "toml++/",
                         "re2/", "xxhash.h"}},
  };
  return kFloors;
}

// Adapters to the operating system and to LevelDB: the deterministic floors use their ports.
const Names kAdapters = {"storage/posix_file.h", "storage/leveldb_state_store.h",
                         "storage/flush_workers.h"};

// The target of an #include line; quoted is true for "...".
struct Include {
  std::string_view target;
  bool quoted = false;
};

Include parse_include(std::string_view line) {
  constexpr std::string_view kStart = "#include ";
  if (!line.starts_with(kStart) || line.size() < kStart.size() + 2) {
    return {};
  }
  line.remove_prefix(kStart.size());
  const bool quoted = line.front() == '"';
  line.remove_prefix(1);
  return {.target = line.substr(0, line.find(quoted ? '"' : '>')), .quoted = quoted};
}

// Standard C++ headers have no dot; those of C and POSIX are left to check_edges.
bool is_third_party(std::string_view target) {
  static const Names kKnown =
      kCompression + Names{"fmt/",    "boost/",   "google/", "leveldb/", "spdlog/", "CLI/",
                           "toml++/", "openssl/", "re2/",    "gtest/",   "gmock/",  "benchmark/"};
  return matches(target, kKnown);
}

std::string objection(const Floor& floor, const Include& include) {
  const std::string target(include.target);
  const std::string refusal = std::string(floor.name) + " must not include " + target;
  if (!include.quoted) {
    return is_third_party(target) && !matches(target, floor.third_parties) ? refusal : "";
  }
  if (is_third_party(target)) {
    return "third parties are included as <" + target + ">";
  }
  // Generated headers lie flat in the build directory.
  if (target.ends_with(".pb.h")) {
    return matches("google/", floor.third_parties) ? "" : refusal;
  }
  if (floor.name == "server core" && matches(target, kAdapters)) {
    return refusal + ": use its port";
  }
  return matches(target, floor.project) ? "" : refusal;
}

}  // namespace

Findings check_floors(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    const auto floor = std::ranges::find_if(
        floors(), [&](const Floor& candidate) { return matches(path, candidate.files); });
    if (!is_source(path) || floor == floors().end()) {
      continue;
    }
    int number = 0;
    for (const std::string_view line : lines_of(text)) {
      ++number;
      const Include include = parse_include(line);
      if (std::string message = include.target.empty() ? "" : objection(*floor, include);
          !message.empty()) {
        findings.push_back({path, number, std::move(message)});
      }
    }
  }
  return findings;
}

}  // namespace lignum::tidy
