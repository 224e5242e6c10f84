#include "storage/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"
#include "storage/frame_format.h"
#include "storage/log_mark.h"

namespace lignum::storage {

namespace {

// One copy: magic u32, CRC u32 (of what follows), version u32, body length u32, body; zeros up to
// a whole block. The second copy follows the first.
constexpr std::size_t kCopyHeaderBytes = 16;
constexpr std::size_t kCrcFrom = 8;
constexpr std::size_t kBodyFixedBytes = 40;
constexpr std::size_t kMarkBytes = 40;
constexpr std::size_t kRecordBytes = 48 + 2 * kMarkBytes;
constexpr std::uint64_t kSealedFlag = 1;
constexpr std::uint64_t kHolesFlag = 2;
constexpr std::uint64_t kCutFlag = 4;
// Room for growth in a prepared file.
constexpr std::size_t kSpareSlackBytes = 4 * kBlockBytes;

class Put {
 public:
  explicit Put(std::span<std::byte> out) : out_(out) {}
  void u64(std::uint64_t value) {
    store_le<std::uint64_t>(out_, at_, value);
    at_ += sizeof(value);
  }
  void mark(const LogMark& mark) {
    u64(mark.id.term.value());
    u64(mark.id.index.value());
    u64(mark.chain.low);
    u64(mark.chain.high);
    u64(static_cast<std::uint64_t>(mark.append_time));
  }

 private:
  std::span<std::byte> out_;
  std::size_t at_ = 0;
};

class Get {
 public:
  // The caller has judged the length.
  explicit Get(Bytes in) : in_(in) {}
  std::uint64_t u64() {
    const auto value = load_le<std::uint64_t>(in_, at_);
    at_ += sizeof(value);
    return value;
  }
  LogMark mark() {
    LogMark mark;
    mark.id.term = Term(u64());
    mark.id.index = Index(u64());
    mark.chain.low = u64();
    mark.chain.high = u64();
    mark.append_time = static_cast<TimeUs>(u64());
    return mark;
  }

 private:
  Bytes in_;
  std::size_t at_ = 0;
};

std::size_t copy_bytes(const Manifest& manifest) {
  return round_up_to_block(kCopyHeaderBytes + kBodyFixedBytes +
                           manifest.segments.size() * kRecordBytes);
}

// Both copies.
AlignedBuffer encode(const Manifest& manifest) {
  const std::size_t size = copy_bytes(manifest);
  AlignedBuffer buffer(2 * size);
  const std::span<std::byte> out = buffer.span();
  const std::size_t body = kBodyFixedBytes + manifest.segments.size() * kRecordBytes;
  store_le<std::uint32_t>(out, 0, kManifestMagic);
  store_le<std::uint32_t>(out, 8, kSegmentVersion);
  store_le<std::uint32_t>(out, 12, static_cast<std::uint32_t>(body));
  Put put(out.subspan(kCopyHeaderBytes));
  put.u64(manifest.group.value());
  put.u64(manifest.incarnation.value());
  put.u64(manifest.truncation);
  put.u64(manifest.next_segment.value());
  put.u64(manifest.segments.size());
  for (const SegmentRecord& record : manifest.segments) {
    put.u64(record.id.value());
    put.mark(record.before);
    put.u64(record.file_bytes);
    put.u64((record.sealed ? kSealedFlag : 0) | (record.holes ? kHolesFlag : 0) |
            (record.cut ? kCutFlag : 0));
    put.mark(record.after);
    put.u64(record.frames_end);
    put.u64(record.footer_at);
    put.u64(record.footer_bytes);
  }
  store_le<std::uint32_t>(out, 4,
                          crc32c(Bytes(out).subspan(kCrcFrom, kCopyHeaderBytes - kCrcFrom + body)));
  std::copy_n(out.begin(), size, out.begin() + static_cast<std::ptrdiff_t>(size));
  return buffer;
}

struct DecodedCopy {
  Manifest manifest;
  std::size_t bytes = 0;
};

std::optional<DecodedCopy> decode(Bytes in) {
  if (in.size() < kCopyHeaderBytes || load_le<std::uint32_t>(in) != kManifestMagic ||
      load_le<std::uint32_t>(in, 8) != kSegmentVersion) {
    return std::nullopt;
  }
  const std::size_t body = load_le<std::uint32_t>(in, 12);
  if (body < kBodyFixedBytes || body > in.size() - kCopyHeaderBytes) return std::nullopt;
  if (load_le<std::uint32_t>(in, 4) !=
      crc32c(in.subspan(kCrcFrom, kCopyHeaderBytes - kCrcFrom + body))) {
    return std::nullopt;
  }
  Get get(in.subspan(kCopyHeaderBytes, body));
  Manifest manifest;
  manifest.group = GroupId(static_cast<std::uint32_t>(get.u64()));
  manifest.incarnation = GroupIncarnation(get.u64());
  manifest.truncation = get.u64();
  manifest.next_segment = SegmentId(get.u64());
  const std::uint64_t count = get.u64();
  if (count == 0 || body != kBodyFixedBytes + count * kRecordBytes) return std::nullopt;
  for (std::uint64_t i = 0; i < count; ++i) {
    SegmentRecord record;
    record.id = SegmentId(get.u64());
    record.before = get.mark();
    record.file_bytes = get.u64();
    const std::uint64_t flags = get.u64();
    record.sealed = (flags & kSealedFlag) != 0;
    record.holes = (flags & kHolesFlag) != 0;
    record.cut = (flags & kCutFlag) != 0;
    record.after = get.mark();
    record.frames_end = get.u64();
    record.footer_at = get.u64();
    record.footer_bytes = get.u64();
    manifest.segments.push_back(record);
  }
  return DecodedCopy{.manifest = std::move(manifest), .bytes = kCopyHeaderBytes + body};
}

}  // namespace

std::string segment_file_name(SegmentId id) { return fmt::format("{:016x}.seg", id.value()); }

Result<ManifestRead> read_manifest(Directory& directory) {
  TRY_ASSIGN(file, directory.open(kManifestName, OpenMode::kRead));
  TRY_ASSIGN(size, file->size());
  // A manifest of a hundred thousand segments is a tenth of this.
  constexpr std::uint64_t kBytesMax = std::uint64_t{256} << 20;
  std::vector<std::byte> bytes(std::min(size, kBytesMax));
  TRY_ASSIGN(read, file->read_at(0, bytes));
  bytes.resize(read);
  ManifestRead found;
  found.file_bytes = size;
  // The second copy's place depends on the first one's length, which may be the damage.
  for (std::size_t at = 0; at < bytes.size(); at += kBlockBytes) {
    auto copy = decode(Bytes(bytes).subspan(at));
    if (!copy) continue;
    if (found.good.empty()) found.manifest = std::move(copy->manifest);
    found.good.push_back({.position = at, .bytes = copy->bytes});
  }
  if (found.good.empty()) {
    return fail(Errc::kCorrupt, fmt::format("{}/{}: byte 0: neither copy of the list of segments "
                                            "passes its checksum",
                                            directory.path(), kManifestName));
  }
  return found;
}

Result<ManifestFile::Loaded> ManifestFile::load(Directory& directory) {
  TRY_ASSIGN(found, read_manifest(directory));
  Loaded loaded{
      .file = std::unique_ptr<ManifestFile>(new ManifestFile(directory, std::move(found.manifest))),
      .remark = std::nullopt};
  if (found.good.size() < 2) {
    const auto healed = loaded.file->edit([](Manifest&) {});
    // A log can be read with one copy on a full disk, too; the next change writes both.
    if (!healed && healed.error().code() != Errc::kNoSpace) return std::unexpected(healed.error());
    loaded.remark = fmt::format(
        "{}/{}: one of two copies was damaged and {}", directory.path(), kManifestName,
        healed ? "has been rewritten" : "stays so until there is room for another file");
  }
  return loaded;
}

Result<std::unique_ptr<ManifestFile>> ManifestFile::create(Directory& directory,
                                                           Manifest manifest) {
  auto file = std::unique_ptr<ManifestFile>(new ManifestFile(directory, std::move(manifest)));
  TRY(file->edit([](Manifest&) {}));
  return file;
}

Manifest ManifestFile::current() const {
  const MutexLock lock(mutex_);
  return manifest_;
}

Result<void> ManifestFile::edit(const std::function<void(Manifest&)>& change) {
  const MutexLock lock(mutex_);
  Manifest next = manifest_;
  change(next);
  TRY(store(next));
  manifest_ = std::move(next);
  return {};
}

Result<void> ManifestFile::reserve() {
  const MutexLock lock(mutex_);
  return prepare(2 * copy_bytes(manifest_) + kSpareSlackBytes);
}

Result<void> ManifestFile::prepare(std::size_t bytes) {
  if (spare_ != nullptr && spare_bytes_ >= bytes) return {};
  spare_.reset();
  TRY_ASSIGN(exists, directory_.exists(kManifestSpareName));
  if (exists) TRY(directory_.remove(kManifestSpareName));
  TRY_ASSIGN(file, directory_.open(kManifestSpareName, OpenMode::kCreate));
  const AlignedBuffer zeros(bytes);
  TRY(file->write_at(0, zeros.bytes()));
  TRY(file->sync());
  spare_ = std::move(file);
  spare_bytes_ = zeros.size();
  return {};
}

Result<void> ManifestFile::store(const Manifest& manifest) {
  // Whoever reads this list later comes by that path.
  TRY(directory_.check_place());
  const AlignedBuffer bytes = encode(manifest);
  TRY(prepare(bytes.size()));
  const std::unique_ptr<File> file = std::move(spare_);
  TRY(file->write_at(0, bytes.bytes()));
  TRY(file->sync());
  TRY(directory_.rename(kManifestSpareName, kManifestName));
  if (mutant(Mutant::kManifestRenameNotSynced)) return {};
  return directory_.sync();
}

}  // namespace lignum::storage
