// The state machine of a data group: pairs out of a damaged store and entries out of a damaged log
// are taken or refused, never believed half; what it says about itself can be taken back.

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
#include "server/shard/shard_state.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(const server::ShardState& state) {
  Pairs pairs;
  state.for_each([&](std::string_view key, std::string_view value) {
    CHECK(pairs.empty() || pairs.back().first < key);
    pairs.emplace_back(key, value);
  });
  return pairs;
}

ShardKey take_shard(Input& input) {
  return {.stream = StreamId(input.take<std::uint8_t>() % 4),
          .shard = ShardNumber(input.take<std::uint8_t>() % 2)};
}

Payload take_command(Input& input) {
  switch (input.take<std::uint8_t>() % 4) {
    case 0:
      return server::encode_open_shard({.key = take_shard(input),
                                        .start = Offset(input.take<std::uint8_t>()),
                                        .retention_ms = input.take<std::int16_t>()});
    case 1:
      return server::encode_drop_shard(take_shard(input));
    case 2:
      return server::encode_trim_shard(take_shard(input), Offset(input.take<std::uint16_t>()));
    default:
      return Payload::copy_of(input.take_bytes(input.take<std::uint8_t>()));
  }
}

Entry take_entry(Input& input) {
  Entry entry;
  entry.header.kind = static_cast<EntryKind>(1 + (input.take<std::uint8_t>() % 4));
  entry.header.append_time = input.take<std::int32_t>();
  if (entry.header.kind == EntryKind::kBatch) {
    entry.header.shard = take_shard(input);
    entry.header.base_offset = Offset(input.take<std::uint8_t>());
    entry.header.record_count = input.take<std::uint8_t>();
    entry.payload = Payload::copy_of(input.take_bytes(input.take<std::uint8_t>()));
  } else {
    entry.payload = take_command(input);
  }
  return entry;
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  server::ShardState state;
  for (std::size_t pairs = input.take<std::uint8_t>() % 4; pairs > 0; --pairs) {
    const std::string_view key = text_of(input.take_bytes(input.take<std::uint8_t>() % 32));
    const std::string_view value = text_of(input.take_bytes(input.take<std::uint8_t>()));
    if (!state.restore(key, value)) return;
  }
  for (std::uint64_t index = 1; !input.empty(); ++index) {
    Entry entry = take_entry(input);
    entry.header.index = Index(index);
    entry.header.term = Term(1);
    // The replica would halt here.
    if (!state.apply(entry)) return;
  }
  const Pairs pairs = pairs_of(state);
  server::ShardState copy;
  for (const auto& [key, value] : pairs) CHECK(copy.restore(key, value).has_value());
  CHECK(pairs_of(copy) == pairs);
}

}  // namespace lignum::fuzz
