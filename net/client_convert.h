#pragma once

// Protocol messages to the words of net/client.h.

#include <optional>

#include "net/client.h"
#include "net/proto/client.pb.h"

namespace lignum::net {

[[nodiscard]] StreamDescription description_of(const wire::StreamInfo& stream);
// With the state of each shard.
[[nodiscard]] StreamDescription description_of(const wire::DescribeStreamReply& reply);
[[nodiscard]] NodeStat stat_of(const wire::StatReply& reply);

}  // namespace lignum::net
