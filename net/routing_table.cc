#include "net/routing_table.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace lignum::net {

namespace {

std::size_t part_of(StreamId id) { return id.value() % RoutingTable::kParts; }
// Differs between builds, and may: parts are in memory only.
std::size_t part_of(std::string_view name) {
  return std::hash<std::string_view>()(name) % RoutingTable::kParts;
}

template <class Part>
Part copy_of(const std::shared_ptr<const Part>& part) {
  return part == nullptr ? Part() : *part;
}

}  // namespace

RoutingTable::RoutingTable(Epoch epoch, std::vector<GroupId> groups,
                           const std::map<StreamId, StreamRoute>& streams)
    : epoch_(epoch), groups_(std::move(groups)) {
  std::array<ById, kParts> by_id;
  std::array<ByName, kParts> by_name;
  for (const auto& [id, stream] : streams) {
    const auto route = std::make_shared<const StreamRoute>(stream);
    by_id[part_of(id)].emplace(id, route);
    by_name[part_of(route->name)].emplace(route->name, route);
  }
  for (std::size_t i = 0; i < kParts; ++i) {
    if (!by_id[i].empty()) by_id_[i] = std::make_shared<const ById>(std::move(by_id[i]));
    if (!by_name[i].empty()) by_name_[i] = std::make_shared<const ByName>(std::move(by_name[i]));
  }
}

RoutingTable RoutingTable::changed(Epoch epoch, std::span<const StreamId> changed,
                                   const std::map<StreamId, StreamRoute>& streams) const {
  RoutingTable next = *this;
  next.epoch_ = epoch;
  for (const StreamId id : changed) {
    next.remove(id);
    const auto found = streams.find(id);
    if (found != streams.end()) next.put(found->second);
  }
  return next;
}

void RoutingTable::put(const StreamRoute& stream) {
  const auto route = std::make_shared<const StreamRoute>(stream);
  auto& of_id = by_id_[part_of(route->id)];
  ById ids = copy_of(of_id);
  ids.insert_or_assign(route->id, route);
  of_id = std::make_shared<const ById>(std::move(ids));
  auto& of_name = by_name_[part_of(route->name)];
  ByName names = copy_of(of_name);
  // The key is a view of the name in its own route.
  names.erase(route->name);
  names.emplace(route->name, route);
  of_name = std::make_shared<const ByName>(std::move(names));
}

void RoutingTable::remove(StreamId id) {
  auto& of_id = by_id_[part_of(id)];
  ById ids = copy_of(of_id);
  const auto found = ids.find(id);
  if (found == ids.end()) return;
  const Route route = found->second;
  ids.erase(found);
  of_id = std::make_shared<const ById>(std::move(ids));
  auto& of_name = by_name_[part_of(route->name)];
  ByName names = copy_of(of_name);
  const auto named = names.find(route->name);
  // A later stream may have its name by now.
  if (named != names.end() && named->second->id == id) names.erase(named);
  of_name = std::make_shared<const ByName>(std::move(names));
}

std::vector<const StreamRoute*> RoutingTable::streams() const {
  std::vector<const StreamRoute*> all;
  for (const auto& part : by_id_) {
    if (part == nullptr) continue;
    for (const auto& [id, route] : *part) all.push_back(route.get());
  }
  std::ranges::sort(all, {}, &StreamRoute::id);
  return all;
}

void RoutingTable::visit_after(std::string_view after,
                               const std::function<bool(const StreamRoute&)>& visit) const {
  // What is left of a part; the parts are merged.
  struct Rest {
    ByName::const_iterator next;
    ByName::const_iterator end;
  };
  const auto later = [](const Rest& a, const Rest& b) { return a.next->first > b.next->first; };
  std::vector<Rest> rests;
  for (const auto& part : by_name_) {
    if (part == nullptr) continue;
    const auto next = part->upper_bound(after);
    if (next != part->end()) rests.push_back({.next = next, .end = part->end()});
  }
  std::ranges::make_heap(rests, later);
  while (!rests.empty()) {
    std::ranges::pop_heap(rests, later);
    Rest& rest = rests.back();
    if (!visit(*rest.next->second)) return;
    if (++rest.next == rest.end) {
      rests.pop_back();
    } else {
      std::ranges::push_heap(rests, later);
    }
  }
}

const StreamRoute* RoutingTable::find(std::string_view name) const {
  const auto& part = by_name_[part_of(name)];
  if (part == nullptr) return nullptr;
  const auto found = part->find(name);
  return found == part->end() ? nullptr : found->second.get();
}

const StreamRoute* RoutingTable::find(StreamId id) const {
  const auto& part = by_id_[part_of(id)];
  if (part == nullptr) return nullptr;
  const auto found = part->find(id);
  return found == part->end() ? nullptr : found->second.get();
}

std::optional<GroupId> RoutingTable::group_of(ShardKey shard) const {
  const StreamRoute* stream = find(shard.stream);
  if (stream == nullptr || shard.shard.value() >= stream->shards.size()) return std::nullopt;
  return stream->shards[shard.shard.value()];
}

}  // namespace lignum::net
