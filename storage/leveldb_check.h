#pragma once

// Whether a state database is whole, found out without touching it.

#include <cstdint>

#include "raft/error.h"
#include "storage/file.h"

namespace lignum::storage {

// A larger database is not checked: it is held in memory meanwhile.
inline constexpr std::uint64_t kDatabaseCheckedMax = std::uint64_t{1} << 30;

// Copies the database in `directory` into memory and opens the copy as a server would: paranoid
// checks, every pair read, its digest compared. kCorrupt when it is damaged; kTooLarge when it is
// larger than `bytes_max`; kIo.
[[nodiscard]] Result<void> check_leveldb(Directory& directory,
                                         std::uint64_t bytes_max = kDatabaseCheckedMax);

}  // namespace lignum::storage
