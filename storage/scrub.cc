#include "storage/scrub.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"
#include "storage/scrub_file.h"
#include "storage/scrub_group.h"
#include "storage/scrub_node_files.h"
#include "storage/scrub_report.h"
#include "storage/scrub_segment.h"

namespace lignum::storage {

namespace {

constexpr const char* kUnknownName = "logd does not know this name and leaves it alone";
// LevelDB writes them and never reads them.
constexpr std::array<std::string_view, 3> kDatabaseNotes = {"LOCK", "LOG", "LOG.old"};

std::optional<GroupId> group_of(std::string_view name) {
  std::uint32_t number = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || rest != name.data() + name.size()) return std::nullopt;
  return GroupId(number);
}

class DirectoryScrub {
 public:
  DirectoryScrub(Directory& root, const ScrubOptions& options, ScrubVisitor& visitor)
      : root_(root), options_(options), ledger_(visitor) {}

  Result<ScrubTotals> run() {
    TRY_ASSIGN(names, root_.list());
    names_ = std::move(names);
    std::unique_ptr<DirectoryLock> lock;
    TRY_ASSIGN(complete, judge_completeness());
    if (options_.take_lock) {
      TRY_ASSIGN(taken, root_.lock());
      lock = std::move(taken);
    }
    if (!complete) return ledger_.totals();
    if (has(kIdentityFileName)) {
      TRY_ASSIGN(identity, scrub_identity(ledger_, root_));
      identity_ = identity;
    }
    TRY(find_groups());
    TRY(scrub_hard_state(ledger_, root_, static_cast<std::uint32_t>(groups_.size())));
    for (const GroupId group : groups_) TRY(scrub_group(group));
    TRY(scrub_other_images());
    TRY(scrub_state());
    for (const std::string& name : names_) list_other(name);
    return ledger_.totals();
  }

 private:
  [[nodiscard]] bool has(std::string_view name) const {
    return std::ranges::find(names_, name) != names_.end();
  }
  // Never made where it is missing. `parent` holds it.
  [[nodiscard]] static Result<std::unique_ptr<Directory>> enter(Directory& parent,
                                                                const std::string& name) {
    TRY_ASSIGN(exists, parent.exists(name));
    if (!exists) return nullptr;
    return parent.open_directory(name);
  }

  // False where there is nothing to walk.
  Result<bool> judge_completeness() {
    if (has(kIdentityFileName)) return true;
    if (has(kBootstrapFileName)) {
      ledger_.find({.kind = FindingKind::kLeftover,
                    .path = kBootstrapFileName,
                    .what = "the directory was being made",
                    .meaning = "no record can be in it; the next start makes it anew"});
      return false;
    }
    if (!has(kHardStateFileName) && !has(kGroupsDirectoryName)) {
      return fail(Errc::kNotFound, root_.path() + ": this is no data directory of logd");
    }
    ledger_.find({.kind = FindingKind::kDamage,
                  .path = kIdentityFileName,
                  .what = "it is missing",
                  .meaning = "logd refuses to start: restore the file from a copy"});
    return true;
  }

  Result<void> find_groups() {
    TRY_ASSIGN(directory, enter(root_, kGroupsDirectoryName));
    groups_directory_ = std::move(directory);
    if (groups_directory_ != nullptr) {
      TRY_ASSIGN(names, groups_directory_->list());
      for (const std::string& name : names) {
        if (const auto group = group_of(name)) {
          groups_.push_back(*group);
        } else {
          list_file(ledger_, *groups_directory_, name, kGroupsDirectoryName + ("/" + name),
                    ByteUse::kUnused, kUnknownName);
        }
      }
    }
    std::ranges::sort(groups_);
    ledger_.totals().groups = groups_.size();
    if (groups_.empty() || groups_.back().value() + 1 != groups_.size()) {
      ledger_.find({.kind = FindingKind::kDamage,
                    .path = kGroupsDirectoryName,
                    .what = "the directory of a group is missing",
                    .meaning = "logd refuses to start: its records are not here"});
    }
    TRY_ASSIGN(images, enter(root_, kImagesDirectoryName));
    images_directory_ = std::move(images);
    return {};
  }

  // Images tell of groups too.
  Result<void> scrub_other_images() {
    if (images_directory_ == nullptr) return {};
    TRY_ASSIGN(names, images_directory_->list());
    for (const std::string& name : names) {
      const std::string path = kImagesDirectoryName + ("/" + name);
      const auto number = group_of(name);
      if (!number) {
        list_file(ledger_, *images_directory_, name, path, ByteUse::kUnused, kUnknownName);
        continue;
      }
      if (std::ranges::find(groups_, *number) != groups_.end()) continue;
      ledger_.find({.kind = FindingKind::kDamage,
                    .path = kGroupsDirectoryName + ("/" + name),
                    .what = "the directory of a group is missing, and its images are there",
                    .meaning = "its records are not here: restore the directory from a copy"});
      TRY_ASSIGN(images, images_directory_->open_directory(name));
      TRY(scrub_images(ledger_, *images, path,
                       {.group = *number, .incarnation = {}, .incarnation_known = false},
                       std::nullopt));
    }
    return {};
  }

  Result<void> scrub_group(GroupId number) {
    const std::string name = fmt::format("{}", number.value());
    ScrubbedGroup group{.group = number, .incarnation = {}, .incarnation_known = false};
    if (identity_) {
      group.incarnation = group_incarnation(identity_->cluster, number);
      group.incarnation_known = true;
      group.node = identity_->incarnation;
    }
    TRY_ASSIGN(directory, groups_directory_->open_directory(name));
    TRY_ASSIGN(log, scrub_log(ledger_, *directory, kGroupsDirectoryName + ("/" + name), group));
    if (images_directory_ == nullptr) return {};
    TRY_ASSIGN(images, enter(*images_directory_, name));
    if (images == nullptr) return {};
    return scrub_images(ledger_, *images, kImagesDirectoryName + ("/" + name), group, log);
  }

  Result<void> scrub_state() {
    TRY_ASSIGN(state, enter(root_, kStateDirectoryName));
    if (state == nullptr) return {};
    const Result<void> checked =
        options_.check_database ? options_.check_database(*state)
                                : fail(Errc::kUnsupported, "the state database is not checked");
    if (!checked) {
      const bool damaged = checked.error().code() == Errc::kCorrupt;
      ledger_.find({.kind = damaged ? FindingKind::kDamage : FindingKind::kUnchecked,
                    .path = kStateDirectoryName,
                    .what = checked.error().message(),
                    .meaning = "no record is in it: a damaged one is dropped at the next start and "
                               "rebuilt from images and logs"});
    }
    TRY_ASSIGN(names, state->list());
    for (const std::string& name : names) {
      const bool note = std::ranges::find(kDatabaseNotes, name) != kDatabaseNotes.end();
      list_file(ledger_, *state, name, kStateDirectoryName + ("/" + name),
                note ? ByteUse::kUnused : ByteUse::kDatabase, "");
    }
    return {};
  }

  void list_other(const std::string& name) {
    constexpr std::array<std::string_view, 5> kWalked = {kIdentityFileName, kHardStateFileName,
                                                         kStateDirectoryName, kGroupsDirectoryName,
                                                         kImagesDirectoryName};
    if (std::ranges::find(kWalked, name) != kWalked.end()) return;
    if (name == kBootstrapFileName || name == kIdentityTemporaryName ||
        name == kHardStateTemporaryName) {
      list_leftover(ledger_, root_, name, name);
    } else {
      list_file(ledger_, root_, name, name, ByteUse::kUnused,
                name == kLockFileName ? "" : kUnknownName);
    }
  }

  Directory& root_;
  const ScrubOptions& options_;
  ScrubLedger ledger_;
  std::vector<std::string> names_;
  std::optional<NodeIdentity> identity_;
  std::unique_ptr<Directory> groups_directory_;
  std::unique_ptr<Directory> images_directory_;
  // Ascending.
  std::vector<GroupId> groups_;
};

}  // namespace

Result<ScrubTotals> scrub_directory(Directory& root, const ScrubOptions& options,
                                    ScrubVisitor& visitor) {
  return DirectoryScrub(root, options, visitor).run();
}

}  // namespace lignum::storage
