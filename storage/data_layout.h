#pragma once

// The names in a data directory. server/group/data_directory.h tells what each is for.

namespace lignum::storage {

inline constexpr const char* kLockFileName = "LOCK";
inline constexpr const char* kBootstrapFileName = "bootstrap";
inline constexpr const char* kStateDirectoryName = "state";
inline constexpr const char* kGroupsDirectoryName = "groups";
inline constexpr const char* kImagesDirectoryName = "images";

}  // namespace lignum::storage
