#include "server/group/data_directory.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"

namespace lignum::server {

namespace {

// Removes the files of an attempt that never completed.
Result<void> clear_files(storage::Directory& directory) {
  TRY_ASSIGN(names, directory.list());
  for (const std::string& name : names) TRY(directory.remove(name));
  return directory.sync();
}

Result<void> make_everything(storage::Directory& root, const BootstrapOptions& options,
                             const MakeLog& make_log) {
  TRY_ASSIGN(exists, root.exists(storage::kHardStateFileName));
  if (exists) TRY(root.remove(storage::kHardStateFileName));
  TRY_ASSIGN(hard_state, storage::HardStateFile::create(root));
  TRY_ASSIGN(groups, root.open_directory(kGroupsDirectoryName));
  for (std::uint32_t number = 0; number <= options.groups; ++number) {
    const GroupId group(number);
    TRY_ASSIGN(directory, groups->open_directory(group_directory_name(group)));
    TRY(clear_files(*directory));
    TRY(make_log(*directory, {.group = group,
                              .incarnation = group_incarnation(options.cluster, group),
                              .node = options.incarnation}));
  }
  TRY(groups->sync());
  TRY(root.sync());
  return storage::store_identity(root, {.cluster = options.cluster,
                                        .node = options.node,
                                        .incarnation = options.incarnation,
                                        .members = options.members});
}

Result<void> make_directory(storage::Directory& root, const BootstrapOptions& options,
                            const MakeLog& make_log) {
  TRY_ASSIGN(begun, root.exists(kBootstrapFileName));
  if (!begun) {
    for (const std::string_view name :
         {std::string_view(storage::kHardStateFileName), std::string_view(kGroupsDirectoryName),
          std::string_view(kImagesDirectoryName)}) {
      TRY_ASSIGN(exists, root.exists(name));
      if (!exists) continue;
      return fail(Errc::kCorrupt,
                  fmt::format("{}: '{}' is there but the file '{}' is missing: this directory held "
                              "data and has lost its identity. Nothing was changed; restore the "
                              "file from a copy, or choose another directory",
                              root.path(), name, storage::kIdentityFileName));
    }
    TRY_ASSIGN(marker, root.open(kBootstrapFileName, storage::OpenMode::kCreate));
    TRY(marker->sync());
    TRY(root.sync());
  }
  return make_everything(root, options, make_log);
}

Result<std::vector<GroupId>> list_groups(storage::Directory& root) {
  TRY_ASSIGN(exists, root.exists(kGroupsDirectoryName));
  if (!exists) {
    return fail(Errc::kCorrupt,
                fmt::format("{}: the directory '{}' is missing; nothing was changed", root.path(),
                            kGroupsDirectoryName));
  }
  TRY_ASSIGN(directory, root.open_directory(kGroupsDirectoryName));
  TRY_ASSIGN(names, directory->list());
  std::vector<GroupId> groups;
  for (const std::string& name : names) {
    std::uint32_t number = 0;
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && rest == name.data() + name.size()) groups.emplace_back(number);
  }
  std::ranges::sort(groups);
  if (groups.empty() || groups.front() != kMetaGroup ||
      groups.back().value() + 1 != groups.size()) {
    return fail(
        Errc::kCorrupt,
        fmt::format("{}: a group's directory is missing; nothing was changed", directory->path()));
  }
  return groups;
}

}  // namespace

Result<OpenDirectory> open_data_directory(storage::Directory& root, const BootstrapOptions& options,
                                          const MakeLog& make_log) {
  OpenDirectory opened;
  TRY_ASSIGN(identity, storage::load_identity(root));
  if (!identity) {
    TRY(make_directory(root, options, make_log));
    TRY_ASSIGN(made, storage::load_identity(root));
    identity = made;
    opened.made = true;
  }
  CHECK(identity.has_value());
  opened.identity = *identity;
  TRY_ASSIGN(bootstrap, root.exists(kBootstrapFileName));
  if (bootstrap) {
    TRY(root.remove(kBootstrapFileName));
    TRY(root.sync());
  }
  auto hard_state = storage::HardStateFile::open(root);
  if (!hard_state) {
    const Error& error = hard_state.error();
    return fail(error.code() == Errc::kNotFound ? Errc::kCorrupt : error.code(),
                fmt::format("the votes of this node are lost, so none of its groups may serve: {}",
                            error.message()));
  }
  opened.hard_state = std::move(*hard_state);
  TRY_ASSIGN(groups, list_groups(root));
  opened.groups = std::move(groups);
  return opened;
}

std::string group_directory_name(GroupId group) { return fmt::format("{}", group.value()); }

}  // namespace lignum::server
