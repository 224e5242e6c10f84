#include "server/group/configured_state.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/config_history.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/state_store.h"

namespace lignum::server {

namespace {

// The record: index u64, then the configuration as in an entry.
constexpr std::size_t kIndexBytes = sizeof(std::uint64_t);

}  // namespace

Result<void> ConfiguredState::apply(const Entry& entry) {
  if (entry.header.kind == EntryKind::kMembership) {
    TRY_ASSIGN(membership, raft::decode_membership(entry.payload.bytes()));
    config_ = {.index = entry.header.index, .membership = std::move(membership)};
    changed_ = true;
  }
  return machine_.apply(entry);
}

std::string ConfiguredState::record() const {
  std::array<std::byte, kIndexBytes> index{};
  store_le<std::uint64_t>(index, 0, config_.index.value());
  const Payload membership = raft::encode(config_.membership);
  std::string text(reinterpret_cast<const char*>(index.data()), index.size());
  text.append(reinterpret_cast<const char*>(membership.bytes().data()), membership.size());
  return text;
}

std::vector<storage::StateWrite> ConfiguredState::take_changes() {
  std::vector<storage::StateWrite> writes = machine_.take_changes();
  if (std::exchange(changed_, false)) {
    writes.push_back({.key = std::string(kKey), .value = record()});
  }
  return writes;
}

void ConfiguredState::for_each(
    const std::function<void(std::string_view key, std::string_view value)>& visit) const {
  visit(kKey, record());
  machine_.for_each(visit);
}

Result<void> ConfiguredState::restore(std::string_view key, std::string_view value) {
  if (key != kKey) return machine_.restore(key, value);
  TRY_ASSIGN(config, decode(value));
  config_ = std::move(config);
  return {};
}

Result<raft::ConfigAt> ConfiguredState::decode(std::string_view value) {
  const Bytes bytes = std::as_bytes(std::span(value));
  if (bytes.size() < kIndexBytes) return fail(Errc::kCorrupt, "a configuration cut short");
  TRY_ASSIGN(membership, raft::decode_membership(bytes.subspan(kIndexBytes)));
  return raft::ConfigAt{.index = Index(load_le<std::uint64_t>(bytes, 0)),
                        .membership = std::move(membership)};
}

void ConfiguredState::reset() {
  config_ = first_;
  changed_ = false;
  machine_.reset();
}

}  // namespace lignum::server
