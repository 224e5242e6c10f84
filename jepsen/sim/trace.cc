#include "jepsen/sim/trace.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace lignum::jepsen {

namespace {

std::string_view name_of(TraceKind kind) {
  constexpr std::array<std::string_view, 15> kNames = {
      "boot",    "serving", "crash", "pause",  "disk",  "packet", "stream", "fault",
      "outcome", "commit",  "role",  "report", "phase", "rare",   "send"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  hash = std::rotl(hash ^ word, 27) * 0x9FB21C651E98DF25ULL;
  return hash ^ (hash >> 32);
}

}  // namespace

void Trace::mix(const Event& event) {
  hash_ = mixed(hash_, static_cast<std::uint64_t>(event.at));
  hash_ = mixed(hash_, (std::uint64_t{event.who} << 8) | static_cast<std::uint64_t>(event.kind));
  hash_ = mixed(hash_, event.a);
  hash_ = mixed(hash_, event.b);
}

void Trace::note(const Event& event, const std::function<std::string()>& text) {
  mix(event);
  if (out_ == nullptr) return;
  constexpr Moment kSecond = 1'000'000;
  fmt::print(out_, "{:>5}.{:06} {:>3} {:<8} {}\n", event.at / kSecond, event.at % kSecond,
             event.who, name_of(event.kind), text());
}

std::uint64_t text_hash(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3ULL;
  }
  return hash;
}

}  // namespace lignum::jepsen
