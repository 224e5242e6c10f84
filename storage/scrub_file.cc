#include "storage/scrub_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "storage/file.h"
#include "storage/scrub_report.h"
#include "storage/tail_scan.h"

namespace lignum::storage {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

struct OpenFile {
  std::unique_ptr<File> file;
  std::uint64_t bytes = 0;
};

Result<OpenFile> open_sized(Directory& directory, std::string_view name) {
  OpenFile opened;
  TRY_ASSIGN(file, directory.open(name, OpenMode::kRead));
  opened.file = std::move(file);
  TRY_ASSIGN(size, opened.file->size());
  opened.bytes = size;
  return opened;
}

// What of `out` cannot be read stays zeros; one finding a run of blocks.
void read_around(ScrubLedger& ledger, const File& file, std::uint64_t begin,
                 std::span<std::byte> out) {
  std::uint64_t bad_bytes = 0;
  std::string reason;
  const auto tell = [&](std::uint64_t end) {
    if (bad_bytes == 0) return;
    ledger.damage(end - bad_bytes, bad_bytes, "the disk does not read it: " + reason,
                  "a failing disk: copy the directory away before anything else");
    bad_bytes = 0;
  };
  for (std::size_t at = 0; at < out.size(); at += kBlockBytes) {
    const std::size_t count = std::min(kBlockBytes, out.size() - at);
    const auto read = file.read_at(begin + at, out.subspan(at, count));
    if (read) {
      tell(begin + at);
      continue;
    }
    reason = read.error().message();
    std::ranges::fill(out.subspan(at, count), std::byte{0});
    bad_bytes += count;
  }
  tell(begin + out.size());
}

}  // namespace

std::optional<std::vector<std::byte>> begin_file(ScrubLedger& ledger, Directory& directory,
                                                 std::string_view name, const std::string& path) {
  ledger.begin(path);
  const auto opened = open_sized(directory, name);
  if (!opened) {
    ledger.damage(0, 0, "it cannot be opened: " + opened.error().message(),
                  "look at its permissions, and at the disk");
    ledger.end_file();
    return std::nullopt;
  }
  if (opened->bytes > kScrubbedFileMax) {
    ledger.damage(0, opened->bytes, "it is larger than any file that is written here",
                  "it was not read");
    ledger.use_until(opened->bytes, ByteUse::kDamaged);
    ledger.end_file();
    return std::nullopt;
  }
  std::vector<std::byte> bytes(opened->bytes);
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    const std::span<std::byte> piece =
        std::span(bytes).subspan(at, std::min(kPieceBytes, bytes.size() - at));
    if (!opened->file->read_at(at, piece)) read_around(ledger, *opened->file, at, piece);
  }
  return bytes;
}

void list_file(ScrubLedger& ledger, Directory& directory, std::string_view name,
               const std::string& path, ByteUse use, std::string_view meaning) {
  ledger.begin(path);
  const auto opened = open_sized(directory, name);
  const std::uint64_t bytes = opened ? opened->bytes : 0;
  if (!meaning.empty()) {
    ledger.find({.kind = FindingKind::kLeftover,
                 .path = path,
                 .byte = 0,
                 .bytes = bytes,
                 .what = "not a part of the log",
                 .meaning = std::string(meaning)});
  }
  ledger.use_until(bytes, use);
  ledger.end_file();
}

void list_leftover(ScrubLedger& ledger, Directory& directory, std::string_view name,
                   const std::string& path, std::string_view what, std::string_view meaning) {
  const auto bytes = begin_file(ledger, directory, name, path);
  if (!bytes) return;
  const bool zeros = content_end(*bytes, 0) == 0;
  if (!zeros) {
    ledger.find({.kind = FindingKind::kLeftover,
                 .path = path,
                 .byte = 0,
                 .bytes = bytes->size(),
                 .what = std::string(what),
                 .meaning = std::string(meaning)});
  }
  ledger.use_until(bytes->size(), zeros ? ByteUse::kZeroTail : ByteUse::kUnused);
  ledger.end_file();
}

}  // namespace lignum::storage
