#pragma once

// The offline checker of a data directory: reads every file, trusts nothing, changes nothing.
//
// Behind `logctl verify DIR [--map]`. It walks what the server would open (identity, hard state,
// the manifests and segments of every group, images) and says of each bad byte where it lies and
// what it means for the next start. LevelDB's files are only listed: they are checked as a whole
// when they are opened, and are rebuilt from images and logs. One thread; the caller holds the
// directory's lock, because files that a server writes to look torn.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "storage/file.h"

namespace lignum::storage {

// What a range of bytes is for.
enum class ByteUse : std::uint8_t {
  kHeader,     // the header block of a segment or of the hard state
  kEntry,      // an entry frame
  kMarker,     // a marker frame
  kSkip,       // a skip frame
  kFooter,     // the footer of a sealed segment
  kManifest,   // a copy of the list of segments
  kHardState,  // a copy of a group's term and vote
  kIdentity,   // a copy of the node's identity
  kImage,      // a snapshot's image
  kDatabase,   // LevelDB
  kTruncated,  // frames that a truncation cut off: read by nobody
  kDamaged,    // should be one of the above and does not check
  kTorn,       // a write that a crash tore; the next start cuts it
  kPadding,    // zeros that fill a frame or a block
  kUnused,     // nothing: room for later writes, and files that nobody lists
};

// "entry frame", "zero padding" ...
[[nodiscard]] std::string_view byte_use_name(ByteUse use);
// True where a changed byte can neither change nor hide anything.
[[nodiscard]] bool nobody_reads(ByteUse use);

// Bytes [begin, end) of a file.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  ByteUse use = ByteUse::kUnused;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct ScrubbedFile {
  // From the data directory: "groups/1/manifest".
  std::string path;
  std::uint64_t bytes = 0;
  // With ScrubOptions::map: without gaps from 0 to `bytes`; neighbours differ, except frames.
  std::vector<ByteRange> map;
};

enum class Severity : std::uint8_t {
  kRemark,  // the server mends or ignores it
  kTorn,    // a torn write: the next start cuts it and says so
  kDamage,  // records may be lost, or are not served
};

// "remark", "torn", "damage".
[[nodiscard]] std::string_view severity_name(Severity severity);

struct Finding {
  Severity severity = Severity::kRemark;
  std::string path;        // from the data directory
  std::uint64_t byte = 0;  // where it begins
  std::string what;        // one sentence
  std::string meaning;     // what the next start does about it, and what to do
};

struct ScrubReport {
  // By path.
  std::vector<ScrubbedFile> files;
  // In the order of the walk; at most kFindingsMax.
  std::vector<Finding> findings;
  std::uint64_t findings_dropped = 0;
  std::uint64_t groups = 0;
  std::uint64_t segments = 0;
  std::uint64_t entries = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // read and checked

  // The worst of the findings is kDamage.
  [[nodiscard]] bool damaged() const;
};

inline constexpr std::size_t kFindingsMax = 1000;

struct ScrubOptions {
  // Also say what every byte is for.
  bool map = false;
};

// Damage is not an error but a finding. kNotFound when `root` holds no data directory, kIo when
// the operating system refuses to read.
[[nodiscard]] Result<ScrubReport> scrub_directory(Directory& root, const ScrubOptions& options);

}  // namespace lignum::storage
