#include "raft/messages.h"

#include <variant>

#include "raft/types.h"

namespace lignum::raft {

Term term_of(const Message& message) {
  return std::visit([](const auto& body) { return body.term; }, message.body);
}

}  // namespace lignum::raft
