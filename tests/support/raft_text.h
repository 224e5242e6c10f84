#pragma once

// Protocol values as short text, for transcripts and for messages of failed tests.

#include <optional>
#include <string>
#include <string_view>

#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/types.h"
#include "tests/support/letter.h"

namespace lignum::world {

// "3", or "3.2" for a second incarnation.
std::string describe(const ReplicaId& replica);
std::string describe(const std::optional<ReplicaId>& replica);
// "term/index".
std::string describe(LogId id);
// "2/11 no-op", "2/12 'text'", "2/13 voters=(1 2 3)"; "2/14" for an empty batch.
std::string describe(const Entry& entry);
// "voters=(1 2 4) outgoing=(1 2 3) learners=(5)".
std::string describe(const raft::Membership& membership);
std::string describe(const Letter& letter);
std::string_view describe(raft::Role role);
std::string_view describe(raft::ProgressState state);
// "AppendEntries" and so on.
std::string_view kind_of(const raft::Message& message);

}  // namespace lignum::world
