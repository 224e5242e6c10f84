#include "server/group/data_group.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "server/group/waiters.h"
#include "storage/crc32c.h"
#include "storage/log.h"
#include "storage/record_batch.h"

namespace lignum::server {

namespace {

// What an entry takes on disk beside its payload, generously.
constexpr std::size_t kFrameOverhead = 512;
constexpr std::size_t kCopyBelowBytes = std::size_t{16} << 10;

// The batch with its base offset filled in. A small batch is copied, so that it does not keep the
// connection's read buffer alive; a large one is the request's own buffer and is patched in place.
Payload with_base_offset(const Payload& batch, Offset base) {
  if (batch.size() < kCopyBelowBytes) {
    std::vector<std::byte> copy(batch.bytes().begin(), batch.bytes().end());
    patch_base_offset(copy, base);
    return Payload(std::move(copy));
  }
  // The bytes lie in a buffer that was made for this request and that nobody else looks at.
  auto* const bytes = const_cast<std::byte*>(batch.bytes().data());
  patch_base_offset(std::span(bytes, batch.size()), base);
  return batch;
}

Refusal unknown_outcome() {
  return {.error = Error(Errc::kUnknownOutcome,
                         "the entry was proposed, and whether it was committed is not known")};
}

Refusal lost() {
  return {.error = Error(Errc::kNotLeader, "the entry was replaced and never happened")};
}

}  // namespace
