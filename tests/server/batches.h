#pragma once

// Small record batches for tests of the server floor.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/compression.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"

namespace lignum::server::testing {

// `records` records with the values "<text>0", "<text>1" ...
inline std::vector<std::byte> make_batch(std::uint32_t records,
                                         std::optional<ProducerStamp> producer,
                                         std::string_view text = "record ") {
  BatchBuilder builder;
  for (std::uint32_t i = 0; i < records; ++i) {
    const std::string value = std::string(text) + std::to_string(i);
    const auto added = builder.add({.timestamp = 1'700'000'000'000 + i,
                                    .key = std::nullopt,
                                    .value = std::as_bytes(std::span(value)),
                                    .headers = {}});
    CHECK(added.has_value());
  }
  auto batch = builder.build(producer, Codec::kNone);
  CHECK(batch.has_value());
  return std::move(*batch);
}

}  // namespace lignum::server::testing
