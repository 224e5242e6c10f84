#include "server/service/call.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/requests.h"
#include "storage/byte_order.h"

namespace lignum::server {

Answer failure(const Error& error) {
  Answer answer;
  wire::Failure& failure = *answer.response.mutable_failure();
  failure.set_code(static_cast<std::uint32_t>(error.code()));
  failure.set_message(cut_text(error.message(), kFailureTextMax));
  return answer;
}

Answer failure(const Refusal& refusal) {
  Answer answer = failure(refusal.error);
  if (refusal.bounds) {
    answer.response.mutable_failure()->set_start_offset(refusal.bounds->start.value());
    answer.response.mutable_failure()->set_next_offset(refusal.bounds->next.value());
  }
  if (refusal.readable_from) {
    answer.response.mutable_failure()->set_readable_offset(refusal.readable_from->value());
  }
  if (refusal.leader) answer.response.mutable_failure()->set_leader_node(refusal.leader->value());
  return answer;
}

std::string cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max;
  // A byte 10xxxxxx goes on with a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string chain_bytes(const Hash128& chain) {
  std::array<std::byte, 16> bytes{};
  store_le<std::uint64_t>(bytes, 0, chain.low);
  store_le<std::uint64_t>(bytes, 8, chain.high);
  std::string text(bytes.size(), '\0');
  std::memcpy(text.data(), bytes.data(), bytes.size());
  return text;
}

}  // namespace lignum::server
