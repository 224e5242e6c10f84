#include "storage/scrub_report.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "raft/check.h"
#include "raft/payload.h"

namespace lignum::storage {

namespace {

constexpr std::uint64_t kNearBytes = 512;

}  // namespace

std::string_view byte_use_name(ByteUse use) {
  switch (use) {
    case ByteUse::kHeader:
      return "header";
    case ByteUse::kEntries:
      return "entries";
    case ByteUse::kMarkers:
      return "marker";
    case ByteUse::kSkips:
      return "skip";
    case ByteUse::kCutOff:
      return "cut-off entries";
    case ByteUse::kFooter:
      return "footer";
    case ByteUse::kManifest:
      return "manifest copy";
    case ByteUse::kHardState:
      return "terms and votes";
    case ByteUse::kIdentity:
      return "identity copy";
    case ByteUse::kImage:
      return "image";
    case ByteUse::kDatabase:
      return "database";
    case ByteUse::kPadding:
      return "padding (zeros)";
    case ByteUse::kZeroTail:
      return "zero tail";
    case ByteUse::kTorn:
      return "unused: torn write";
    case ByteUse::kDamaged:
      return "DAMAGED";
    case ByteUse::kUnused:
      return "unused: not read";
  }
  return "?";
}

bool nobody_reads(ByteUse use) { return use == ByteUse::kTorn || use == ByteUse::kUnused; }

std::string_view finding_kind_name(FindingKind kind) {
  switch (kind) {
    case FindingKind::kDamage:
      return "damage";
    case FindingKind::kTorn:
      return "torn";
    case FindingKind::kLeftover:
      return "leftover";
    case FindingKind::kUnchecked:
      return "unchecked";
  }
  return "?";
}

std::uint64_t ScrubTotals::unread_bytes() const {
  std::uint64_t sum = 0;
  for (std::size_t use = 0; use < kByteUses; ++use) {
    if (nobody_reads(static_cast<ByteUse>(use))) sum += used.at(use);
  }
  return sum;
}

void ScrubLedger::begin(std::string path) {
  CHECK(map_.empty());
  path_ = std::move(path);
  position_ = 0;
}

void ScrubLedger::use_until(std::uint64_t end, ByteUse use) {
  CHECK(end >= position_);
  if (end == position_) return;
  if (!map_.empty() && map_.back().use == use) {
    map_.back().end = end;
  } else {
    map_.push_back({.begin = position_, .end = end, .use = use});
  }
  totals_.used.at(static_cast<std::size_t>(use)) += end - position_;
  position_ = end;
}

void ScrubLedger::zeros_until(std::uint64_t end, ByteUse use, Bytes file,
                              std::string_view meaning) {
  const auto next_bad = [&](std::uint64_t from) {
    while (from < end && file[from] == std::byte{0}) ++from;
    return from;
  };
  for (std::uint64_t bad = next_bad(position_); position_ < end; bad = next_bad(position_)) {
    use_until(bad, use);
    if (bad == end) return;
    // Garbage holds zeros too: one finding for what lies close together.
    std::uint64_t bad_end = bad + 1;
    for (std::uint64_t next = next_bad(bad_end); next < end && next - bad_end < kNearBytes;
         next = next_bad(bad_end)) {
      bad_end = next + 1;
    }
    damage(bad, bad_end - bad, "written as zeros, and not zero any more", std::string(meaning));
    use_until(bad_end, ByteUse::kDamaged);
  }
}

void ScrubLedger::end_file() {
  totals_.files += 1;
  totals_.bytes += position_;
  visitor_.on_file(path_, map_);
  map_.clear();
}

void ScrubLedger::find(const Finding& finding) {
  totals_.findings.at(static_cast<std::size_t>(finding.kind)) += 1;
  visitor_.on_finding(finding);
}

}  // namespace lignum::storage
