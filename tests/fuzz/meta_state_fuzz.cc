// The state machine of group 0: damaged pairs and commands are taken or refused; what it says about
// itself can be taken back.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/meta/meta_state.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(const server::MetaState& state) {
  Pairs pairs;
  state.for_each([&](std::string_view key, std::string_view value) {
    CHECK(pairs.empty() || pairs.back().first < key);
    pairs.emplace_back(key, value);
  });
  return pairs;
}

Payload take_command(Input& input) {
  const auto take_name = [&] {
    return std::string(text_of(input.take_bytes(input.take<std::uint8_t>() % 8)));
  };
  switch (input.take<std::uint8_t>() % 5) {
    case 0:
      return server::encode_init_cluster({.data_groups = {GroupId(1), GroupId(2)}});
    case 1:
      return server::encode_create_stream(
          {.name = take_name(), .shards = input.take<std::uint8_t>()});
    case 2:
      return server::encode_delete_stream(take_name());
    case 3:
      return server::encode_allocate_producers(input.take<std::uint16_t>());
    default:
      return Payload::copy_of(input.take_bytes(input.take<std::uint8_t>()));
  }
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  server::MetaState state;
  for (std::size_t pairs = input.take<std::uint8_t>() % 4; pairs > 0; --pairs) {
    const std::string_view key = text_of(input.take_bytes(input.take<std::uint8_t>() % 16));
    const std::string_view value = text_of(input.take_bytes(input.take<std::uint8_t>()));
    if (!state.restore(key, value)) return;
  }
  for (std::uint64_t index = 1; !input.empty(); ++index) {
    Entry entry;
    entry.header.kind = EntryKind::kCommand;
    entry.header.index = Index(index);
    entry.header.term = Term(1);
    entry.header.append_time = static_cast<TimeUs>(index);
    entry.payload = take_command(input);
    if (!state.apply(entry)) return;
    CHECK(state.table() != nullptr);
  }
  const Pairs pairs = pairs_of(state);
  server::MetaState copy;
  for (const auto& [key, value] : pairs) CHECK(copy.restore(key, value).has_value());
  CHECK(pairs_of(copy) == pairs);
}

}  // namespace lignum::fuzz
