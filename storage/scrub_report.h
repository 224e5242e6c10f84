#pragma once

// What the offline checker finds: the use of every byte, and what is wrong with some.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/payload.h"

namespace lignum::storage {

// What a range of bytes is for. A changed byte is found in all of them but those nobody reads.
enum class ByteUse : std::uint8_t {
  kHeader,     // the header block of a segment, of the hard state, of an image
  kEntries,    // entry frames, back to back
  kMarkers,    // marker frames
  kSkips,      // skip frames
  kCutOff,     // frames above the place where the log was truncated
  kFooter,     // the footer of a sealed segment
  kManifest,   // a copy of the list of segments
  kHardState,  // copies of the groups' terms and votes
  kIdentity,   // a copy of the node's identity
  kImage,      // chunks of a snapshot's image
  kDatabase,   // LevelDB, checked as a whole
  kPadding,    // zeros between the things above; checked to be zeros
  kZeroTail,   // zeros up to the end of the file: room for later writes; checked to be zeros
  kTorn,       // a write that a crash cut short; the next start cuts it
  kDamaged,    // should be one of the above and does not check
  kUnused,     // files that nobody reads
};
inline constexpr std::size_t kByteUses = 16;

// "header", "entries", "zero tail" ...
[[nodiscard]] std::string_view byte_use_name(ByteUse use);
// True where a changed byte is neither found nor missed: the uses that are printed as "unused:
// ...".
[[nodiscard]] bool nobody_reads(ByteUse use);

// Bytes [begin, end) of a file.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  ByteUse use = ByteUse::kUnused;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

enum class FindingKind : std::uint8_t {
  kDamage,     // no crash explains these bytes
  kTorn,       // a write that a crash cut short: never acknowledged, cut by the next start
  kLeftover,   // a file of unfinished work: the next start removes it
  kUnchecked,  // could not be judged
};
// "damage", "torn", "leftover", "unchecked".
[[nodiscard]] std::string_view finding_kind_name(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::kDamage;
  // From the data directory: "groups/1/manifest".
  std::string path;
  // Where it begins, and how far it reaches as far as that is known; 0 bytes: a place, or the file.
  std::uint64_t byte = 0;
  std::uint64_t bytes = 0;
  // What is wrong, then what it means for the next start and what to do: a sentence each.
  std::string what;
  std::string meaning;
};

struct ScrubTotals {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t groups = 0;
  std::uint64_t segments = 0;
  std::uint64_t entries = 0;
  std::uint64_t records = 0;
  std::uint64_t images = 0;
  // By FindingKind and by ByteUse.
  std::array<std::uint64_t, 4> findings{};
  std::array<std::uint64_t, kByteUses> used{};

  [[nodiscard]] std::uint64_t count(FindingKind kind) const {
    return findings.at(static_cast<std::size_t>(kind));
  }
  [[nodiscard]] std::uint64_t bytes_of(ByteUse use) const {
    return used.at(static_cast<std::size_t>(use));
  }
  // Bytes that nobody reads, zero tails left aside.
  [[nodiscard]] std::uint64_t unread_bytes() const;
};

// Told what is found, as it is found. Called by one thread, during scrub_directory().
class ScrubVisitor {
 public:
  virtual ~ScrubVisitor() = default;
  // Once for every file, after its findings. `map` covers it without gap and overlap.
  virtual void on_file(const std::string& path, const std::vector<ByteRange>& map) = 0;
  virtual void on_finding(const Finding& finding) = 0;
};

// Collects the map of one file after the other, in order of bytes, and counts.
class ScrubLedger {
 public:
  explicit ScrubLedger(ScrubVisitor& visitor) : visitor_(visitor) {}

  // Begins a file; the one before was ended.
  void begin(std::string path);
  // The bytes from the last range's end up to `end` (not below it; CHECKed) serve `use`.
  void use_until(std::uint64_t end, ByteUse use);
  // As use_until() where these are all zeros, with a finding where they are not. `file` holds the
  // whole file.
  void zeros_until(std::uint64_t end, ByteUse use, Bytes file, std::string_view meaning);
  // The file ends here.
  void end_file();
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  void find(const Finding& finding);
  // In the file that was begun.
  void damage(std::uint64_t byte, std::uint64_t bytes, std::string what, std::string meaning) {
    find({.kind = FindingKind::kDamage,
          .path = path_,
          .byte = byte,
          .bytes = bytes,
          .what = std::move(what),
          .meaning = std::move(meaning)});
  }
  [[nodiscard]] ScrubTotals& totals() { return totals_; }

 private:
  ScrubVisitor& visitor_;
  ScrubTotals totals_;
  std::string path_;
  std::uint64_t position_ = 0;
  std::vector<ByteRange> map_;
};

}  // namespace lignum::storage
