#pragma once

// A core, a message or a persist operation as one line of text: for people who read a trace, and
// for comparing states. Two cores that differ in nothing but their timers, their chance and the
// numbers of their tokens read alike.

#include <string>

#include "raft/core.h"
#include "raft/messages.h"
#include "raft/output.h"

namespace lignum::raft {

[[nodiscard]] std::string describe(const Core& core);
[[nodiscard]] std::string describe(const Message& message);
[[nodiscard]] std::string describe(const PersistOp& op);

}  // namespace lignum::raft
