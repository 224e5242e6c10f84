// The sizes of the product in one line, each of which must fit into the next:
// a record into a batch, a batch into what a group may hold uncommitted, that into what a flush may
// have under way when the power fails, a batch into a message, all of it into a segment. Nothing
// here runs: a change that breaks the order does not compile.

#include "net/message.h"
#include "raft/options.h"
#include "storage/frame_format.h"
#include "storage/record_batch.h"

namespace lignum::server {

inline constexpr raft::Options kCore;
inline constexpr net::MessageLimits kMessage;

static_assert(kRecordBytesMax <= kBatchBytesMax);
static_assert(kBatchBytesMax <= storage::kPayloadBytesMax);
static_assert(kBatchBytesMax + raft::kEntryOverheadBytes <= kCore.uncommitted_bytes_max);

// What the core counts for an entry is at least what it takes on disk, so that its bound holds for
// the bytes of a torn tail too. An entry over the bound goes through alone.
static_assert(storage::kEnvelopeBytes + storage::kEntryHeaderBytes + storage::kFrameAlignment <=
              raft::kEntryOverheadBytes);
static_assert(kCore.uncommitted_bytes_max + kBatchBytesMax <= storage::kInFlightWindowMax);

static_assert(kBatchBytesMax + kMessage.header_bytes_max + net::kPrefixBytes <=
              kMessage.message_bytes_max);
static_assert(kCore.uncommitted_bytes_max <= kMessage.message_bytes_max);
static_assert(kMessage.message_bytes_max <= storage::kSegmentBytesMax);

}  // namespace lignum::server
