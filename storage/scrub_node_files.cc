#include "storage/scrub_node_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/hard_state_block.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"
#include "storage/scrub_file.h"
#include "storage/scrub_report.h"

namespace lignum::storage {

namespace {

constexpr const char* kVotesLost =
    "logd refuses to start: without its votes none of its groups may vote as who it was";
constexpr const char* kHealed = "the next start writes it anew from a good copy";

// A run of blocks that do not check, for one reason.
struct BadRun {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  FindingKind kind = FindingKind::kDamage;
  std::string what;
  std::string meaning;
};

class HardStateScrub {
 public:
  HardStateScrub(ScrubLedger& ledger, const HardStateFile::Examined& examined, std::uint32_t groups)
      : ledger_(ledger), examined_(examined), groups_(groups) {}

  void run() {
    std::vector<BadRun> runs;
    for (const auto& bad : examined_.bad) {
      BadRun run = judge(bad);
      if (!runs.empty() && runs.back().end == run.begin && runs.back().what == run.what) {
        runs.back().end = run.end;
      } else {
        runs.push_back(std::move(run));
      }
    }
    for (const BadRun& run : runs) {
      use(run.begin, ByteUse::kHardState);
      ledger_.find({.kind = run.kind,
                    .path = ledger_.path(),
                    .byte = run.begin,
                    .bytes = run.end - run.begin,
                    .what = run.what,
                    .meaning = run.meaning});
      use(run.end, run.kind == FindingKind::kTorn ? ByteUse::kTorn : ByteUse::kDamaged);
    }
    use(hard_state_position(GroupId(examined_.groups), 0, 0), ByteUse::kHardState);
    // A crash while the file grew: blocks that the headers do not count yet.
    ledger_.use_until(examined_.file_bytes, ByteUse::kUnused);
    ledger_.end_file();
  }

 private:
  void use(std::uint64_t end, ByteUse use) {
    ledger_.use_until(std::max(ledger_.position(), std::min(end, examined_.file_bytes)), use);
  }

  [[nodiscard]] BadRun judge(const HardStateFile::Examined::BadBlock& bad) const {
    BadRun run{.begin = bad.position, .end = bad.position + kBlockBytes};
    if (!bad.group) {
      run.what = "one of two headers does not check";
      run.meaning = kHealed;
      return run;
    }
    const auto is = [&](const std::vector<GroupId>& groups) {
      return std::ranges::find(groups, *bad.group) != groups.end();
    };
    if (bad.group->value() >= groups_) {
      run.what = "a place for groups that there are not yet does not check";
      run.meaning = "no vote is touched; the next start mends it, or a new group does";
    } else if (is(examined_.lost)) {
      run.what = fmt::format("term and vote of group {} are lost", bad.group->value());
      run.meaning = "the group is halted at the next start: it must not vote as who it was";
    } else if (is(examined_.torn)) {
      run.kind = FindingKind::kTorn;
      run.what = fmt::format("a vote of group {} that was cut short", bad.group->value());
      run.meaning = "never given; the next start goes back to the one before it";
    } else {
      run.what =
          fmt::format("a copy of group {}'s term and vote does not check", bad.group->value());
      run.meaning = kHealed;
    }
    return run;
  }

  ScrubLedger& ledger_;
  const HardStateFile::Examined& examined_;
  const std::uint32_t groups_;
};

}  // namespace

Result<std::optional<NodeIdentity>> scrub_identity(ScrubLedger& ledger, Directory& root) {
  const auto bytes = begin_file(ledger, root, kIdentityFileName, kIdentityFileName);
  if (!bytes) return std::nullopt;
  const auto read = read_identity(root);
  if (!read && read.error().code() == Errc::kUnsupported) return std::unexpected(read.error());
  const std::optional<IdentityRead> whole = read.value_or(std::nullopt);
  if (!whole) {
    ledger.damage(0, bytes->size(), "both copies are damaged, or name different nodes",
                  "logd refuses to start: restore the file from a copy");
    ledger.use_until(bytes->size(), ByteUse::kDamaged);
    ledger.end_file();
    return std::nullopt;
  }
  for (std::size_t copy = 0; copy < kIdentityCopies; ++copy) {
    const bool good = whole->good.at(copy);
    if (!good) {
      ledger.damage(copy * kBlockBytes, kBlockBytes, "one of two copies does not check", kHealed);
    }
    ledger.use_until(std::min<std::uint64_t>((copy + 1) * kBlockBytes, bytes->size()),
                     good ? ByteUse::kIdentity : ByteUse::kDamaged);
  }
  if (ledger.position() < bytes->size()) {
    ledger.damage(ledger.position(), bytes->size() - ledger.position(),
                  "bytes that nobody wrote here", kHealed);
    ledger.use_until(bytes->size(), ByteUse::kDamaged);
  }
  ledger.end_file();
  return whole->identity;
}

Result<void> scrub_hard_state(ScrubLedger& ledger, Directory& root, std::uint32_t groups) {
  TRY_ASSIGN(exists, root.exists(kHardStateFileName));
  if (!exists) {
    ledger.find({.kind = FindingKind::kDamage,
                 .path = kHardStateFileName,
                 .what = "it is missing",
                 .meaning = kVotesLost});
    return {};
  }
  const auto bytes = begin_file(ledger, root, kHardStateFileName, kHardStateFileName);
  if (!bytes) return {};
  const auto examined = HardStateFile::examine(root);
  if (examined) {
    HardStateScrub(ledger, *examined, groups).run();
    return {};
  }
  if (examined.error().code() == Errc::kUnsupported) return std::unexpected(examined.error());
  ledger.damage(0, kHardStateHeaderCopies * kBlockBytes, "both headers are damaged", kVotesLost);
  ledger.use_until(bytes->size(), ByteUse::kDamaged);
  ledger.end_file();
  return {};
}

}  // namespace lignum::storage
