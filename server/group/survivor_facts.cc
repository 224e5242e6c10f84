#include "server/group/survivor_facts.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/payload.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "storage/crc32c.h"

namespace lignum::server {

namespace {

constexpr std::string_view kWord = "survivor";
constexpr int kHex = 16;

std::string print(const ReplicaId& replica) {
  return fmt::format("{}.{:016x}", replica.node.value(), replica.incarnation.value());
}

std::string print_hex(Bytes bytes) {
  std::string text;
  for (const std::byte each : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(each));
  return text;
}

std::uint32_t checksum(std::string_view text) { return crc32c(std::as_bytes(std::span(text))); }

// Takes a line apart, from left to right; what does not fit leaves ok() false.
class Reader {
 public:
  explicit Reader(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool ok() const { return ok_; }
  // The value of the next word, which is "key=value".
  std::string_view word(std::string_view key) {
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(std::min(word.size() + 1, rest_.size()));
    if (!word.starts_with(key) || word.substr(key.size(), 1) != "=") {
      ok_ = false;
      return {};
    }
    return word.substr(key.size() + 1);
  }
  template <class T>
  T number(std::string_view text, int base = 10) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size()) ok_ = false;
    return value;
  }
  ReplicaId replica(std::string_view text) {
    const auto [node, incarnation] = halves(text, '.');
    return {.node = NodeId(number<std::uint32_t>(node)),
            .incarnation = NodeIncarnation(number<std::uint64_t>(incarnation, kHex))};
  }
  LogId log_id(std::string_view text) {
    const auto [term, index] = halves(text, '/');
    return {.term = Term(number<std::uint64_t>(term)),
            .index = Index(number<std::uint64_t>(index))};
  }
  raft::Membership membership(std::string_view text) {
    std::vector<std::byte> bytes;
    for (; text.size() >= 2; text.remove_prefix(2)) {
      bytes.push_back(std::byte{number<std::uint8_t>(text.substr(0, 2), kHex)});
    }
    auto membership = raft::decode_membership(bytes);
    if (!text.empty() || !membership) {
      ok_ = false;
      return {};
    }
    return *std::move(membership);
  }

 private:
  std::pair<std::string_view, std::string_view> halves(std::string_view text, char between) {
    const std::size_t at = text.find(between);
    if (at == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    return {text.substr(0, at), text.substr(at + 1)};
  }

  std::string_view rest_;
  bool ok_ = true;
};

std::optional<GroupSurvivor> parse_line(std::string_view line) {
  constexpr std::string_view kCrc = " crc=";
  const std::size_t crc_at = line.rfind(kCrc);
  if (!line.starts_with(kWord) || crc_at == std::string_view::npos || crc_at < kWord.size()) {
    return std::nullopt;
  }
  const std::string_view body = line.substr(0, crc_at);
  Reader crc(line.substr(crc_at + 1));
  if (crc.number<std::uint32_t>(crc.word("crc"), kHex) != checksum(body) || !crc.ok()) {
    return std::nullopt;
  }
  Reader in(body.substr(std::min(kWord.size() + 1, body.size())));
  GroupSurvivor found{.group = GroupId(in.number<std::uint32_t>(in.word("group"))), .survivor = {}};
  raft::Survivor& survivor = found.survivor;
  survivor.group = GroupIncarnation(in.number<std::uint64_t>(in.word("incarnation"), kHex));
  survivor.self = in.replica(in.word("replica"));
  survivor.hard_state.term = Term(in.number<std::uint64_t>(in.word("term")));
  const std::string_view vote = in.word("vote");
  if (vote != "-") survivor.hard_state.vote = in.replica(vote);
  survivor.hard_state.recovery = in.number<std::uint64_t>(in.word("recovery"));
  survivor.last = in.log_id(in.word("last"));
  survivor.commit = Index(in.number<std::uint64_t>(in.word("commit")));
  survivor.membership = in.membership(in.word("members"));
  return in.ok() ? std::optional<GroupSurvivor>(std::move(found)) : std::nullopt;
}

std::string nodes(const std::vector<ReplicaId>& replicas) {
  std::string text;
  for (const ReplicaId& each : replicas) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", each.node.value());
  }
  return text;
}

std::string print_one(const raft::RecoveryPlan& plan, const raft::Survivor& survivor) {
  std::string text = fmt::format(
      "  node {}: log ends at {}/{} (term/entry), committed as far as it knows up to entry {}",
      survivor.self.node.value(), survivor.last.term.value(), survivor.last.index.value(),
      survivor.commit.value());
  if (survivor.self == plan.seed) return text + "; its log goes on\n";
  const std::uint64_t risk = raft::entries_at_risk(plan, survivor);
  if (risk == 0) return text + '\n';
  return text + fmt::format("; where its last {} differ from the log of node {} they go\n", risk,
                            plan.seed.node.value());
}

}  // namespace

std::string print_survivor(const GroupSurvivor& each) {
  const raft::Survivor& survivor = each.survivor;
  const raft::HardState& state = survivor.hard_state;
  const std::string body = fmt::format(
      "{} group={} incarnation={:016x} replica={} term={} vote={} recovery={} last={}/{} "
      "commit={} members={}",
      kWord, each.group.value(), survivor.group.value(), print(survivor.self), state.term.value(),
      state.vote ? print(*state.vote) : "-", state.recovery, survivor.last.term.value(),
      survivor.last.index.value(), survivor.commit.value(),
      print_hex(raft::encode(survivor.membership).bytes()));
  return fmt::format("{} crc={:08x}", body, checksum(body));
}

Result<std::vector<GroupSurvivor>> parse_survivors(std::string_view text, std::string_view source) {
  std::vector<GroupSurvivor> survivors;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    auto found = parse_line(line);
    if (!found) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("{}:{}: not a line that 'logd recover-group' printed, or it was "
                              "changed on the way: copy it again, whole",
                              source, number));
    }
    survivors.push_back(*std::move(found));
  }
  return survivors;
}

std::string print_plan(GroupId group, const raft::RecoveryPlan& plan,
                       const std::vector<raft::Survivor>& survivors) {
  std::string text =
      fmt::format("group {}: recovery {}, survivors {}, lost for ever {}\n", group.value(),
                  plan.membership.recovery, nodes(plan.membership.voters), nodes(plan.lost));
  Index seed_last;
  for (const raft::Survivor& each : survivors) {
    text += print_one(plan, each);
    if (each.self == plan.seed) seed_last = each.last.index;
  }
  if (seed_last > plan.proven) {
    text += fmt::format(
        "  entries {} to {} of node {} stay, although nothing proves that a majority held them\n",
        plan.proven.value() + 1, seed_last.value(), plan.seed.node.value());
  }
  text += plan.may_lose_acknowledged
              ? "  ACKNOWLEDGED RECORDS MAY BE LOST: a majority was possible without a survivor\n"
              : "  nothing acknowledged is lost: every majority had a survivor in it\n";
  return text + fmt::format("  node {} appends entry {}/{}: voters {}\n", plan.seed.node.value(),
                            plan.entry.term.value(), plan.entry.index.value(),
                            nodes(plan.membership.voters));
}

}  // namespace lignum::server
