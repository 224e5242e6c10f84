// How fast the formats are: checksum, the front door's walk, building. Not run by ctest:
//   bin/formats_bench --benchmark_min_time=0.2

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/payload.h"
#include "storage/chain.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"
#include "storage/record_batch_reader.h"

namespace lignum {
namespace {

constexpr std::size_t kBatchTarget = std::size_t{128} << 10;

void fill(BatchBuilder& builder, std::size_t value_bytes) {
  const std::string value(value_bytes, 'v');
  const std::array headers = {level_header(Level::kInfo)};
  const RecordInput record{
      .timestamp = 1700000000000, .value = std::as_bytes(std::span(value)), .headers = headers};
  do {
    benchmark::DoNotOptimize(builder.add(record));
  } while (builder.bytes_with(record) <= kBatchTarget);
}

void count(benchmark::State& state, std::size_t bytes, std::size_t records) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  state.SetItemsProcessed(static_cast<std::int64_t>(records) * state.iterations());
}

void checksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(crc32c(bytes));
  }
  count(state, bytes.size(), 0);
}
BENCHMARK(checksum)->Arg(128)->Arg(4096)->Arg(128 << 10);

void shard_link(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(shard_chain({}, {}, bytes));
  }
  count(state, bytes.size(), 0);
}
BENCHMARK(shard_link)->Arg(128)->Arg(128 << 10);

void build(benchmark::State& state) {
  BatchBuilder builder;
  while (state.KeepRunning()) {
    builder.clear();
    fill(builder, static_cast<std::size_t>(state.range(0)));
    benchmark::DoNotOptimize(builder.build(std::nullopt, Codec::kNone));
  }
  count(state, builder.bytes(), builder.record_count());
}
BENCHMARK(build)->Arg(100)->Arg(1024)->Arg(16384);

void validate(benchmark::State& state) {
  BatchBuilder builder;
  fill(builder, static_cast<std::size_t>(state.range(0)));
  const auto batch = *builder.build(std::nullopt, static_cast<Codec>(state.range(1)));
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(validate_batch(batch));
  }
  count(state, builder.bytes(), builder.record_count());
}
BENCHMARK(validate)->Args({100, 0})->Args({1024, 0})->Args({16384, 0})->Args({100, 4});

void read(benchmark::State& state) {
  BatchBuilder builder;
  fill(builder, static_cast<std::size_t>(state.range(0)));
  const auto batch = *builder.build(std::nullopt, Codec::kNone);
  while (state.KeepRunning()) {
    auto reader = BatchReader::open(batch);
    for (auto record = reader->next(); record && *record != nullptr; record = reader->next()) {
      benchmark::DoNotOptimize((*record)->value);
    }
  }
  count(state, builder.bytes(), builder.record_count());
}
BENCHMARK(read)->Arg(100)->Arg(1024)->Arg(16384);

}  // namespace
}  // namespace lignum

BENCHMARK_MAIN();
