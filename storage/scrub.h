#pragma once

// The offline checker of a data directory: reads every file, trusts nothing, changes nothing.
//
// Behind `logctl verify DIR`. It walks what the server would open (identity, terms and votes, the
// manifest, segments and images of every group) with the server's own decoders and judgements, and
// says of each bad byte where it lies and what it means for the next start. LevelDB is checked as a
// whole: its damage is named without a byte. One thread; holds one file in memory at a time.

#include <functional>

#include "raft/error.h"
#include "storage/file.h"
#include "storage/scrub_report.h"

namespace lignum::storage {

struct ScrubOptions {
  // False only where no server can have the directory open. Taking the lock makes its file.
  bool take_lock = true;
  // Judges the directory of the state database without changing it: kCorrupt when it is damaged,
  // anything else when it could not be judged. Empty: the database is not checked.
  std::function<Result<void>(Directory& state)> check_database;
};

// Tells `visitor` what is found. Damage is not an error but a finding. kLocked while a server uses
// the directory, kNotFound where it holds no data of one, kUnsupported for the format of another
// version, kIo where a directory cannot be read.
[[nodiscard]] Result<ScrubTotals> scrub_directory(Directory& root, const ScrubOptions& options,
                                                  ScrubVisitor& visitor);

}  // namespace lignum::storage
