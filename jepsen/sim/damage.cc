#include "jepsen/sim/damage.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_node.h"
#include "raft/buggify.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "storage/byte_order.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/identity_file.h"
#include "storage/log_mark.h"
#include "storage/log_survey.h"
#include "storage/manifest.h"
#include "storage/segmented_log.h"
#include "storage/snapshot_image.h"

namespace lignum::jepsen {

namespace {

constexpr CrashImage kNothingUnsynced{.data = Survival::kNone, .names = Survival::kNone};
constexpr int kTries = 8;
constexpr std::size_t kAnyBytes = std::size_t{64} << 20;

// The directory of a group's log, and what it hangs on.
struct LogPlace {
  std::unique_ptr<storage::Directory> root;
  std::unique_ptr<storage::Directory> groups;
  std::unique_ptr<storage::Directory> directory;
  storage::SegmentedLogOptions options;
};

Result<LogPlace> place_of(SimDisk& disk, GroupId group) {
  LogPlace place{.root = disk.root(), .groups = {}, .directory = {}, .options = {}};
  TRY_ASSIGN(identity, storage::load_identity(*place.root));
  if (!identity) return fail(Errc::kNotFound, "there is no node yet");
  TRY_ASSIGN(groups, place.root->open_directory(storage::kGroupsDirectoryName));
  place.groups = std::move(groups);
  TRY_ASSIGN(directory, place.groups->open_directory(server::group_directory_name(group)));
  place.directory = std::move(directory);
  place.options = {.group = group,
                   .incarnation = storage::group_incarnation(identity->cluster, group),
                   .node = identity->incarnation,
                   .background = {}};
  return place;
}

std::string log_path(GroupId group, const std::string& name) {
  return fmt::format("{}/{}/{}", storage::kGroupsDirectoryName, server::group_directory_name(group),
                     name);
}

}  // namespace

std::vector<Damage::Frame> Damage::frames_of(Bytes bytes, const storage::SegmentRecord& record) {
  std::vector<Frame> frames;
  const std::uint64_t end =
      record.sealed ? std::min<std::uint64_t>(record.frames_end, bytes.size()) : bytes.size();
  for (std::uint64_t at = storage::kFramesStart; at + storage::kEnvelopeBytes <= end;) {
    const auto frame = load_le<std::uint32_t>(bytes, at) == storage::kFrameMagic
                           ? storage::decode_frame(bytes.subspan(at), record.id, at)
                           : std::nullopt;
    if (!frame || frame->bytes > end - at) {
      at += storage::kFrameAlignment;
      continue;
    }
    Frame found{.begin = at, .end = at + frame->bytes, .flushed = frame->envelope.flushed};
    const auto* const header = std::get_if<EntryHeader>(&frame->body);
    const bool sound = header == nullptr ||
                       storage::payload_intact(
                           *header, bytes.subspan(at + frame->payload_at(), header->payload_bytes));
    if (header != nullptr) {
      found.index = found.first = found.last = header->index;
      found.chain = storage::chain_after(*header);
    } else if (const auto* const skip = std::get_if<storage::Skip>(&frame->body)) {
      found.first = skip->first;
      found.last = skip->last.index;
      found.chain = skip->chain_after;
    }
    if (sound) frames.push_back(found);
    at += frame->bytes;
  }
  return frames;
}

bool Damage::holds(SimNode& node, GroupId group, const Struck& struck) const {
  const WithoutBuggify plain;
  const auto image = node.disk().crash(1, kNothingUnsynced);
  const auto place = place_of(*image, group);
  if (!place) return false;
  const auto survey = storage::LogSurvey::make(*place->directory, place->options, {});
  if (!survey) return false;
  storage::LogMark at{.id = {.term = {}, .index = Index(struck.first.value() - 1)}, .chain = {}};
  while (at.id.index < struck.last) {
    const auto items = survey->read_kept(at.id.index, struck.last, kAnyBytes);
    if (!items || items->empty()) return false;
    for (const storage::KeptItem& item : *items) {
      // A hole there makes up for one here, not for an entry.
      if (item.skip_to && item.skip_to->id.index >= struck.entry) return false;
      at = item.skip_to ? *item.skip_to
                        : storage::LogMark{.id = item.entry.header.id(),
                                           .chain = storage::chain_after(item.entry.header)};
    }
  }
  return at.chain == struck.chain;
}

Index Damage::imaged(SimNode& node, GroupId group) {
  const auto image = node.disk().crash(1, kNothingUnsynced);
  const auto root = image->root();
  const auto images = root->open_directory(storage::kImagesDirectoryName);
  if (!images) return {};
  const auto directory = (*images)->open_directory(server::group_directory_name(group));
  if (!directory) return {};
  const auto names = storage::list_images(**directory);
  if (!names || names->empty()) return {};
  const auto info = storage::read_image_info(**directory, names->front());
  return info ? info->applied.index : Index();
}

bool Damage::may_go(const Target& target, const Frame& frame) const {
  if (reach_.unproven || target.record.sealed) return true;
  const bool imaged = frame.index && *frame.index <= target.proven;
  // Where the last entry goes only a leader can say where the end was: strike_end() looks whether
  // one can be elected.
  bool end_stays = target.last || reach_.beyond;
  std::uint64_t proven_bytes = 0;
  for (const Frame& later : target.frames) {
    if (later.begin < target.end) continue;
    proven_bytes = std::max(proven_bytes, later.flushed);
    end_stays = end_stays || later.index.has_value();
  }
  return frame.begin < proven_bytes || (imaged && end_stays);
}

std::optional<Damage::Struck> Damage::struck(const Target& target) const {
  std::optional<Struck> struck;
  for (const Frame& frame : target.frames) {
    if (frame.end <= target.begin || frame.begin >= target.end) continue;
    if (target.last && !frame.index) continue;
    if (!may_go(target, frame)) return std::nullopt;
    if (!frame.first) continue;
    if (!struck) struck = Struck{.first = *frame.first, .last = {}, .entry = {}, .chain = {}};
    if (struck->entry == Index()) struck->entry = frame.index.value_or(Index());
    struck->last = frame.last;
    struck->chain = frame.chain;
  }
  return struck && struck->entry > Index() ? struck : std::nullopt;
}

bool Damage::allowed(SimNode& node, const Target& target) const {
  const auto entries = struck(target);
  if (!entries) return false;
  if (reach_.beyond) return true;
  std::size_t copies = 0;
  for (SimNode* other : nodes_) {
    if (other != &node && holds(*other, target.group, *entries)) ++copies;
  }
  return copies >= nodes_.size() / 2 + 1;
}

bool Damage::knows_end(SimNode& node, GroupId group) {
  const WithoutBuggify plain;
  const auto image = node.disk().crash(1, kNothingUnsynced);
  const auto place = place_of(*image, group);
  if (!place) return false;
  const auto survey = storage::LogSurvey::make(
      *place->directory, place->options,
      {.index = node.proven(group), .source = "a checkpoint", .mark = std::nullopt});
  return survey && std::ranges::none_of(survey->segments(), &storage::SurveyedSegment::open_ended);
}

std::string_view Damage::strike(SimNode& node, Random& random) {
  if (loses_images(node) && random.chance(1, 5)) return strike_beside(node, random);
  for (int tries = 0; tries < kTries; ++tries) {
    const GroupId group(static_cast<std::uint32_t>(random.below(node.plan().data_groups + 1)));
    auto target = draw_target(node, group, random);
    if (!target) continue;
    const std::uint64_t kind = random.below(8);
    const std::string_view done = kind < 2   ? strike_segment(node, *target, random)
                                  : kind < 5 ? strike_bit(node, *target, random)
                                             : strike_blocks(node, *target, random);
    if (!done.empty()) return done;
  }
  return {};
}

std::string_view Damage::strike_end(SimNode& node, Random& random) const {
  for (int tries = 0; tries < kTries; ++tries) {
    const GroupId group(static_cast<std::uint32_t>(random.below(node.plan().data_groups + 1)));
    auto target = draw_target(node, group, random);
    if (!target || target->record.sealed || loses_images(node)) continue;
    const Index proven = node.proven(group);
    target->proven = proven;
    const auto entry = [](const Frame& frame) { return frame.index.has_value(); };
    const auto last = std::ranges::find_if(target->frames.rbegin(), target->frames.rend(), entry);
    if (last == target->frames.rend() || last->index.value_or(Index()) > proven) continue;
    target->last = true;
    target->begin = last->begin + (random.chance(1, 2) ? 0 : random.below(last->end - last->begin));
    target->end = target->bytes.size();
    // Only a leader can say where the end was, and only these can elect one.
    const auto electors = std::ranges::count_if(
        nodes_, [&](SimNode* other) { return other != &node && knows_end(*other, group); });
    if (static_cast<std::size_t>(electors) < nodes_.size() / 2 + 1) continue;
    if (!allowed(node, *target)) continue;
    std::fill(target->bytes.begin() + static_cast<std::ptrdiff_t>(target->begin),
              target->bytes.end(), std::byte{0});
    node.disk().put(target->path, target->bytes);
    return "end of a log rotten";
  }
  return {};
}

// Both are kept twice; what is checked by neither copy is not looked at.
std::string_view Damage::strike_beside(SimNode& node, Random& random) const {
  std::vector<std::string> paths;
  for (const SimDisk::FileInfo& file : node.disk().files()) {
    const bool image = file.path.starts_with(storage::kImagesDirectoryName);
    const bool manifest = reach_.beyond && file.path.ends_with(storage::kManifestName);
    if (image || manifest) paths.push_back(file.path);
  }
  if (paths.empty()) return {};
  const std::string& path = paths[random.below(paths.size())];
  const std::size_t bytes = node.disk().contents(path).size();
  if (bytes == 0) return {};
  node.disk().flip(path, random.below(bytes), static_cast<std::uint8_t>(1U << random.below(8)));
  return path.ends_with(storage::kManifestName) ? "bit of a manifest rotten"
                                                : "bit of an image rotten";
}

std::optional<Damage::Target> Damage::draw_target(SimNode& node, GroupId group,
                                                  Random& random) const {
  // A copy, so that nothing of the disk's own faults is used up.
  const auto copy = node.disk().clone();
  const auto place = place_of(*copy, group);
  if (!place) return std::nullopt;
  const auto read = storage::read_manifest(*place->directory);
  if (!read) return std::nullopt;
  const auto& segments = read->manifest.segments;
  Target target{.group = group, .path = {}, .record = segments[random.below(segments.size())]};
  const std::string name = storage::segment_file_name(target.record.id);
  if (!place->directory->exists(name).value_or(false)) return std::nullopt;
  target.path = log_path(group, name);
  target.bytes = node.disk().contents(target.path);
  target.frames = frames_of(target.bytes, target.record);
  if (reach_.beyond || !loses_images(node)) target.proven = imaged(node, group);
  if (target.frames.empty()) return std::nullopt;
  return target;
}

std::string_view Damage::strike_segment(SimNode& node, Target& target, Random& random) const {
  if (!target.record.sealed) return {};
  if (random.chance(1, 2)) {
    const std::uint64_t byte = target.record.footer_at + random.below(target.record.footer_bytes);
    if (byte >= target.bytes.size()) return {};
    node.disk().flip(target.path, byte, static_cast<std::uint8_t>(1U << random.below(8)));
    return "bit of a footer rotten";
  }
  target.begin = storage::kFramesStart;
  target.end = target.record.frames_end;
  if (!allowed(node, target)) return {};
  node.disk().erase(target.path);
  return "segment lost";
}

std::string_view Damage::strike_bit(SimNode& node, Target& target, Random& random) const {
  const Frame& victim = target.frames[random.below(target.frames.size())];
  if (!victim.index) return {};
  target.begin = victim.begin + random.below(victim.end - victim.begin);
  target.end = target.begin + 1;
  if (!allowed(node, target)) return {};
  node.disk().flip(target.path, target.begin, static_cast<std::uint8_t>(1U << random.below(8)));
  return "bit rotten";
}

std::string_view Damage::strike_blocks(SimNode& node, Target& target, Random& random) const {
  const Frame& victim = target.frames[random.below(target.frames.size())];
  const std::uint64_t unit = random.chance(1, 2) ? kSectorBytes : storage::kBlockBytes;
  std::vector<std::byte>& bytes = target.bytes;
  target.begin = std::max<std::uint64_t>(victim.begin / unit * unit, storage::kFramesStart);
  target.end = target.begin + unit;
  if (target.end > bytes.size() || !allowed(node, target)) return {};
  const auto at = [&bytes](std::uint64_t byte) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(byte);
  };
  const bool lost = random.chance(1, 3);
  if (lost) {
    std::fill(at(target.begin), at(target.end), std::byte{0});
  } else {
    // What was written here stands elsewhere, or what belongs elsewhere here.
    const std::uint64_t from = random.below(bytes.size() / unit) * unit;
    const std::vector<std::byte> other(at(from), at(from + unit));
    std::ranges::copy(other, at(target.begin));
  }
  node.disk().put(target.path, bytes);
  return lost ? "write lost" : "write misdirected";
}

bool Damage::healed(std::string& where) const {
  const WithoutBuggify plain;
  for (SimNode* node : nodes_) {
    for (std::uint32_t number = 0; number <= node->plan().data_groups; ++number) {
      const auto copy = node->disk().clone();
      const auto place = place_of(*copy, GroupId(number));
      const auto survey = place ? storage::LogSurvey::make(*place->directory, place->options, {})
                                : std::unexpected(place.error());
      if (survey && survey->sound()) continue;
      where = fmt::format("node {}, group {}: its log is still damaged: {}", node->number(), number,
                          survey ? "" : survey.error().describe());
      for (std::size_t i = 0; survey && i < survey->segments().size(); ++i) {
        where += survey->segments()[i].trouble;
      }
      return false;
    }
  }
  return true;
}

}  // namespace lignum::jepsen
