#include "storage/scrub_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/scrub_file.h"
#include "storage/scrub_report.h"
#include "storage/scrub_segment.h"
#include "storage/snapshot_image.h"

namespace lignum::storage {

namespace {

constexpr const char* kGroupHalts = "the group is halted at the next start; nothing is changed";

// The list of segments; none, with a finding, where it is lost.
class ManifestScrub {
 public:
  ManifestScrub(ScrubLedger& ledger, Directory& directory, const std::string& path)
      : ledger_(ledger), directory_(directory), path_(path + "/" + kManifestName) {}

  std::optional<Manifest> run(ScrubbedGroup& group) {
    if (!directory_.exists(kManifestName).value_or(true)) {
      ledger_.find({.kind = FindingKind::kDamage,
                    .path = path_,
                    .what = "it is missing, so the list of this group's segments is lost",
                    .meaning = kGroupHalts});
      return std::nullopt;
    }
    const auto bytes = begin_file(ledger_, directory_, kManifestName, path_);
    if (!bytes) return std::nullopt;
    const auto read = read_manifest(directory_);
    if (!read) {
      ledger_.damage(0, bytes->size(), "neither copy of the list of segments checks", kGroupHalts);
      ledger_.use_until(bytes->size(), ByteUse::kDamaged);
      ledger_.end_file();
      return std::nullopt;
    }
    map(*bytes, *read);
    const Manifest& manifest = read->manifest;
    if (!group.incarnation_known) group.incarnation = manifest.incarnation;
    if (manifest.group == group.group && manifest.incarnation == group.incarnation) {
      return manifest;
    }
    ledger_.find({.kind = FindingKind::kDamage,
                  .path = path_,
                  .what = fmt::format("it belongs to group {} of incarnation {:x}, not to group {} "
                                      "of {:x}: was a directory copied here?",
                                      manifest.group.value(), manifest.incarnation.value(),
                                      group.group.value(), group.incarnation.value()),
                  .meaning = kGroupHalts});
    return std::nullopt;
  }

 private:
  void map(Bytes file, const ManifestRead& read) {
    const std::uint64_t copy = round_up_to_block(read.good.front().bytes);
    if (read.good.size() == 1) {
      const std::uint64_t begin = read.good.front().position == 0 ? copy : 0;
      const std::uint64_t end = begin == 0 ? read.good.front().position : 2 * copy;
      ledger_.damage(begin, end - begin, "one of two copies does not check",
                     "the next start writes it anew from the other one");
    }
    for (const ManifestRead::Copy& good : read.good) {
      if (good.position < ledger_.position()) continue;
      ledger_.use_until(good.position, ByteUse::kDamaged);
      ledger_.use_until(good.position + good.bytes, ByteUse::kManifest);
      zeros(good.position + copy, ByteUse::kPadding, file);
    }
    if (ledger_.position() < 2 * copy) {
      ledger_.use_until(std::min<std::uint64_t>(2 * copy, file.size()), ByteUse::kDamaged);
    }
    zeros(file.size(), ByteUse::kZeroTail, file);
    ledger_.end_file();
  }
  void zeros(std::uint64_t end, ByteUse use, Bytes file) {
    ledger_.zeros_until(std::min<std::uint64_t>(end, file.size()), use, file,
                        "the list is whole; the disk changed bytes that nobody reads");
  }

  ScrubLedger& ledger_;
  Directory& directory_;
  const std::string path_;
};

class LogScrub {
 public:
  LogScrub(ScrubLedger& ledger, Directory& directory, const std::string& path, ScrubbedGroup& group)
      : ledger_(ledger), directory_(directory), path_(path), group_(group) {}

  Result<std::optional<ScrubbedLog>> run() {
    const auto manifest = ManifestScrub(ledger_, directory_, path_).run(group_);
    TRY_ASSIGN(names, directory_.list());
    if (!manifest) {
      list_unjudged(names);
      return std::nullopt;
    }
    LogMark mark = manifest->segments.front().before;
    for (const SegmentRecord& record : manifest->segments) {
      check_record(record, mark, &record == &manifest->segments.back());
      mark = segment(record);
    }
    for (const std::string& name : names) list_other(name, *manifest);
    return ScrubbedLog{.before = manifest->segments.front().before.id.index, .last = mark.id.index};
  }

 private:
  // The order of the list, as far as recovery minds it, and that it continues.
  void check_record(const SegmentRecord& record, const LogMark& mark, bool active) {
    std::string trouble;
    if (record.sealed == active) {
      trouble = "is in the wrong state";
    } else if (record.before.id.index < mark.id.index ||
               (record.before.id.index == mark.id.index && record.before != mark)) {
      trouble = fmt::format("begins after entry {}, and the one before it ends with entry {}",
                            record.before.id.index.value(), mark.id.index.value());
    }
    if (trouble.empty()) return;
    ledger_.find({.kind = FindingKind::kDamage,
                  .path = path_ + "/" + kManifestName,
                  .what = fmt::format("segment {:016x} {}", record.id.value(), trouble),
                  .meaning = kGroupHalts});
  }

  LogMark segment(const SegmentRecord& record) {
    const std::string name = segment_file_name(record.id);
    const std::string path = path_ + "/" + name;
    const LogMark& guess = record.sealed ? record.after : record.before;
    ledger_.totals().segments += 1;
    if (!directory_.exists(name).value_or(true)) {
      ledger_.find({.kind = FindingKind::kDamage,
                    .path = path,
                    .what = "a segment of the log is missing",
                    .meaning = kGroupHalts});
      return guess;
    }
    const auto bytes = begin_file(ledger_, directory_, name, path);
    if (!bytes) return guess;
    const LogMark mark = record.sealed ? scrub_sealed_segment(ledger_, group_, record, *bytes)
                                       : scrub_active_segment(ledger_, group_, record, *bytes);
    ledger_.end_file();
    return mark;
  }

  void list_other(const std::string& name, const Manifest& manifest) {
    const bool listed = std::ranges::any_of(manifest.segments, [&](const SegmentRecord& record) {
      return segment_file_name(record.id) == name;
    });
    if (listed || name == kManifestName) return;
    if (name.ends_with(".seg") || name == kManifestSpareName) {
      list_leftover(ledger_, directory_, name, path_ + "/" + name);
    } else {
      list_file(ledger_, directory_, name, path_ + "/" + name, ByteUse::kUnused,
                "logd does not know this name and leaves it alone");
    }
  }

  void list_unjudged(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (name == kManifestName) continue;
      const std::string path = path_ + "/" + name;
      ledger_.begin(path);
      ledger_.find({.kind = FindingKind::kUnchecked,
                    .path = path,
                    .what = "not checked",
                    .meaning = "nothing tells what it holds without the list of segments"});
      const auto file = directory_.open(name, OpenMode::kRead);
      ledger_.use_until(file ? (*file)->size().value_or(0) : 0, ByteUse::kUnused);
      ledger_.end_file();
    }
  }

  ScrubLedger& ledger_;
  Directory& directory_;
  const std::string path_;
  ScrubbedGroup& group_;
};

// Maps one image; its index where it is whole.
std::optional<Index> scrub_image(ScrubLedger& ledger, Directory& directory, const std::string& name,
                                 const std::string& path, const ScrubbedGroup& group) {
  constexpr const char* kMeaning = "the next start uses the other image, or state/, and the log";
  ledger.begin(path);
  ledger.totals().images += 1;
  const auto check = check_image(directory, name);
  if (!check) {
    ledger.damage(0, 0, check.error().message(), kMeaning);
    ledger.end_file();
    return std::nullopt;
  }
  // Without the path, which the finding has.
  const std::size_t named = check->damage.find(name + ": ");
  std::string damage =
      named == std::string::npos ? check->damage : check->damage.substr(named + name.size() + 2);
  if (damage.empty() &&
      (check->info.group != group.group ||
       (group.incarnation_known && check->info.incarnation != group.incarnation))) {
    damage = "it is the image of another group";
  }
  ledger.use_until(check->good_bytes, ByteUse::kImage);
  if (!damage.empty()) {
    ledger.damage(check->good_bytes, check->file_bytes - check->good_bytes, damage, kMeaning);
  }
  ledger.use_until(check->file_bytes, ByteUse::kDamaged);
  ledger.end_file();
  return damage.empty() ? std::optional(check->info.applied.index) : std::nullopt;
}

}  // namespace

Result<std::optional<ScrubbedLog>> scrub_log(ScrubLedger& ledger, Directory& directory,
                                             const std::string& path, ScrubbedGroup& group) {
  return LogScrub(ledger, directory, path, group).run();
}

Result<void> scrub_images(ScrubLedger& ledger, Directory& directory, const std::string& path,
                          const ScrubbedGroup& group, const std::optional<ScrubbedLog>& log) {
  TRY_ASSIGN(names, directory.list());
  TRY_ASSIGN(images, list_images(directory));
  Index newest;
  for (const std::string& name : names) {
    const std::string whole = fmt::format("{}/{}", path, name);
    if (std::ranges::find(images, name) != images.end()) {
      const auto index = scrub_image(ledger, directory, name, whole, group);
      newest = std::max(newest, index.value_or(Index()));
    } else if (name == kImageTemporaryName || name == kImagePartName) {
      // Where the switch to a snapshot was made its image may be the only state, and has no name
      // yet.
      const auto part =
          name == kImagePartName ? check_image(directory, name) : Result<ImageCheck>();
      const bool installed = part && part->damage.empty() && log &&
                             part->info.incarnation == group.incarnation &&
                             part->info.applied.index <= log->last;
      if (!installed) {
        list_leftover(ledger, directory, name, whole);
        continue;
      }
      newest = std::max(newest, part->info.applied.index);
      list_leftover(ledger, directory, name, whole,
                    fmt::format("the image of a snapshot up to entry {}, without its name yet",
                                part->info.applied.index.value()),
                    "the next start gives it one if the log has that entry: do not remove it");
    } else {
      list_file(ledger, directory, name, whole, ByteUse::kUnused,
                "logd does not know this name and leaves it alone");
    }
  }
  if (!log) return {};
  if (newest < log->before) {
    ledger.find({.kind = FindingKind::kDamage,
                 .path = path,
                 .what = fmt::format("the log begins after entry {}, and no whole image reaches it",
                                     log->before.value()),
                 .meaning = "the group opens only while state/ is whole: do not remove that"});
  }
  if (newest > log->last) {
    ledger.find({.kind = FindingKind::kDamage,
                 .path = path,
                 .what = fmt::format("an image holds entry {}, and the log ends with entry {}: "
                                     "entries are missing, or older files were put back",
                                     newest.value(), log->last.value()),
                 .meaning = kGroupHalts});
  }
  return {};
}

}  // namespace lignum::storage
