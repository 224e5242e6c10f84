#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <ios>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"
#include "storage/record_batch_reader.h"
#include "tests/storage/batch_vectors.h"
#include "tests/storage/errc_of.h"

namespace lignum {
namespace {

using Batch = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_of(const std::optional<Bytes>& bytes) {
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size())
               : std::string("(null)");
}

Batch from_hex(std::string_view hex) {
  Batch bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// A vector as it reaches the front door: producers of Kafka send a leader epoch of 0 or -1, and it
// lies outside the checksum.
Batch vector_batch(std::string_view hex) {
  Batch batch = from_hex(hex);
  store_be<std::int32_t>(batch, 12, -1);
  return batch;
}

// One line a record, for comparing.
std::vector<std::string> lines_of(Bytes batch) {
  std::vector<std::string> lines;
  auto reader = BatchReader::open(batch);
  EXPECT_TRUE(reader) << reader.error().describe();
  for (;;) {
    const auto record = reader->next();
    EXPECT_TRUE(record) << record.error().describe();
    if (!record || *record == nullptr) {
      return lines;
    }
    std::string line = std::to_string((*record)->offset.value()) + " " +
                       std::to_string((*record)->timestamp) + " " + text_of((*record)->key) + " " +
                       text_of((*record)->value);
    for (const HeaderView& header : (*record)->headers) {
      line += " " + std::string(header.key) + "=" + text_of(header.value);
    }
    lines.push_back(line);
  }
}

void reseal(Batch& batch) { store_be<std::uint32_t>(batch, 17, crc32c(Bytes(batch).subspan(21))); }

Batch simple_batch(int records = 3) {
  BatchBuilder builder;
  for (int i = 0; i < records; ++i) {
    const std::array headers = {level_header(Level::kInfo)};
    EXPECT_TRUE(
        builder.add({.timestamp = 1000 + i, .value = bytes_of("hello"), .headers = headers}));
  }
  return *builder.build(std::nullopt, Codec::kNone);
}

// ---- what others make

struct Vector {
  std::string_view name;
  std::string_view hex;
  Codec codec;
};

constexpr Vector kVectors[] = {
    {.name = "none", .hex = vectors::kNone, .codec = Codec::kNone},
    {.name = "gzip", .hex = vectors::kGzip, .codec = Codec::kGzip},
    {.name = "snappy-java", .hex = vectors::kSnappyJava, .codec = Codec::kSnappy},
    {.name = "snappy-raw", .hex = vectors::kSnappyRaw, .codec = Codec::kSnappy},
    {.name = "lz4", .hex = vectors::kLz4, .codec = Codec::kLz4},
    {.name = "zstd", .hex = vectors::kZstd, .codec = Codec::kZstd},
};

TEST(RecordBatch, ReadsWhatKafkaPythonMakes) {
  std::string lignum;
  for (int i = 0; i < 40; ++i) {
    lignum += "lignum ";
  }
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.name);
    const Batch batch = vector_batch(vector.hex);
    const auto summary = validate_batch(batch);
    ASSERT_TRUE(summary) << summary.error().describe();
    EXPECT_EQ(summary->codec, vector.codec);
    EXPECT_EQ(summary->record_count, 3U);
    EXPECT_EQ(summary->event_time_min, 1700000000100);
    EXPECT_EQ(summary->event_time_max, 1700000009999);
    EXPECT_EQ(summary->level_mask, 1U | 1U << 17U | 1U << 9U);
    EXPECT_EQ(summary->producer,
              (ProducerStamp{.id = ProducerId(4711), .epoch = 3, .base_sequence = 17}));
    EXPECT_EQ(summary->bytes, batch.size());
    EXPECT_THAT(lines_of(batch), testing::ElementsAre("0 1700000000123 key-0 first value",
                                                      "1 1700000000100 (null) " + lignum +
                                                          " level=17 app=web nothing=(null)",
                                                      "2 1700000009999  (null) level=9"));
  }
  const auto anonymous = validate_batch(vector_batch(vectors::kNoProducer));
  ASSERT_TRUE(anonymous);
  EXPECT_EQ(anonymous->producer, std::nullopt);
}

TEST(RecordBatch, BuildsTheSameBytesAsKafkaPython) {
  std::string lignum;
  for (int i = 0; i < 40; ++i) {
    lignum += "lignum ";
  }
  BatchBuilder builder;
  const std::array second = {level_header(Level::kError),
                             HeaderView{.key = "app", .value = bytes_of("web")},
                             HeaderView{.key = "nothing", .value = std::nullopt}};
  const std::array third = {level_header(Level::kInfo)};
  ASSERT_TRUE(builder.add(
      {.timestamp = 1700000000123, .key = bytes_of("key-0"), .value = bytes_of("first value")}));
  ASSERT_TRUE(
      builder.add({.timestamp = 1700000000100, .value = bytes_of(lignum), .headers = second}));
  ASSERT_TRUE(builder.add({.timestamp = 1700000009999, .key = bytes_of(""), .headers = third}));
  EXPECT_EQ(builder.build(std::nullopt, Codec::kNone), vector_batch(vectors::kNoProducer));
  const ProducerStamp stamp{.id = ProducerId(4711), .epoch = 3, .base_sequence = 17};
  EXPECT_EQ(builder.build(stamp, Codec::kNone), vector_batch(vectors::kNone));
  // For checking by hand that others read what is built here.
  if (const char* directory = std::getenv("LIGNUM_BATCH_OUT")) {
    for (const Codec codec :
         {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
      const Batch batch = *builder.build(stamp, codec);
      std::ofstream file(std::string(directory) + "/" + std::string(codec_name(codec)) + ".bin");
      file.write(reinterpret_cast<const char*>(batch.data()),
                 static_cast<std::streamsize>(batch.size()));
    }
  }
}

// ---- property: build, validate, read is the identity

struct Owned {
  TimeMs timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

std::string random_text(std::mt19937_64& random, std::size_t limit) {
  std::string text(random() % (limit + 1), ' ');
  for (char& c : text) {
    c = static_cast<char>(random() % 3 == 0 ? random() : 'a' + random() % 4);
  }
  return text;
}

Owned random_record(std::mt19937_64& random) {
  Owned record{.timestamp = static_cast<TimeMs>(random() >> (random() % 64)) / 2};
  if (random() % 3 != 0) {
    record.key = random_text(random, 20);
  }
  if (random() % 5 != 0) {
    record.value = random_text(random, random() % 20 == 0 ? 20000 : 200);
  }
  for (std::uint64_t i = random() % 4; i > 0; --i) {
    record.headers.emplace_back(
        "h" + random_text(random, 10),
        random() % 4 == 0 ? std::nullopt : std::optional(random_text(random, 30)));
  }
  if (random() % 2 == 0) {
    record.headers.emplace_back("level", std::to_string(1 + random() % 24));
  }
  return record;
}

std::vector<HeaderView> views_of(const Owned& record) {
  std::vector<HeaderView> views;
  views.reserve(record.headers.size());
  for (const auto& [key, value] : record.headers) {
    views.push_back({.key = key, .value = value ? std::optional(bytes_of(*value)) : std::nullopt});
  }
  return views;
}

std::optional<Bytes> optional_bytes(const std::optional<std::string>& text) {
  return text ? std::optional(bytes_of(*text)) : std::nullopt;
}

std::string line_of(std::size_t number, const Owned& record) {
  std::string line = std::to_string(number) + " " + std::to_string(record.timestamp) + " " +
                     record.key.value_or("(null)") + " " + record.value.value_or("(null)");
  for (const auto& [key, value] : record.headers) {
    line += " " + key + "=" + value.value_or("(null)");
  }
  return line;
}

struct Expected {
  std::vector<std::string> lines;
  std::uint32_t mask = 0;
  TimeMs earliest = std::numeric_limits<TimeMs>::max();
  TimeMs latest = std::numeric_limits<TimeMs>::min();
};

Expected fill(BatchBuilder& builder, std::mt19937_64& random) {
  Expected expected;
  const std::size_t count = 1 + random() % 40;
  for (std::size_t i = 0; i < count; ++i) {
    const Owned record = random_record(random);
    const auto headers = views_of(record);
    const RecordInput input{.timestamp = record.timestamp,
                            .key = optional_bytes(record.key),
                            .value = optional_bytes(record.value),
                            .headers = headers};
    const std::size_t predicted = builder.bytes_with(input);
    const auto added = builder.add(input);
    EXPECT_TRUE(added) << added.error().describe();
    EXPECT_EQ(builder.bytes(), predicted);
    expected.lines.push_back(line_of(i, record));
    const bool has_level = !record.headers.empty() && record.headers.back().first == "level";
    expected.mask |=
        has_level ? 1U << static_cast<unsigned>(std::stoi(*record.headers.back().second)) : 1U;
    expected.earliest = std::min(expected.earliest, record.timestamp);
    expected.latest = std::max(expected.latest, record.timestamp);
  }
  return expected;
}

TEST(RecordBatch, BuildValidateReadIsTheIdentity) {
  std::mt19937_64 random(6);
  BatchBuilder builder;
  for (int round = 0; round < 600; ++round) {
    builder.clear();
    const Expected expected = fill(builder, random);
    const auto codec = static_cast<Codec>(round % 5);
    const std::optional<ProducerStamp> stamp =
        round % 2 == 0 ? std::nullopt
                       : std::optional(ProducerStamp{
                             .id = ProducerId(static_cast<std::int64_t>(random() >> 1U)),
                             .epoch = 7,
                             .base_sequence = round});
    auto batch = builder.build(stamp, codec);
    ASSERT_TRUE(batch);
    if (codec == Codec::kNone) {
      ASSERT_EQ(batch->size(), builder.bytes());
    }
    const auto summary = validate_batch(*batch);
    ASSERT_TRUE(summary) << summary.error().describe();
    ASSERT_EQ(summary->record_count, expected.lines.size());
    ASSERT_EQ(summary->level_mask, expected.mask);
    ASSERT_EQ(summary->event_time_min, expected.earliest);
    ASSERT_EQ(summary->event_time_max, expected.latest);
    ASSERT_EQ(summary->producer, stamp);
    ASSERT_EQ(lines_of(*batch), expected.lines);
  }
}

TEST(RecordBatch, PatchingTheOffsetKeepsTheChecksum) {
  Batch batch = simple_batch();
  patch_base_offset(batch, Offset(1'000'000'000'000));
  EXPECT_EQ(base_offset_of(batch), Offset(1'000'000'000'000));
  // What a producer sends has no offsets yet.
  EXPECT_EQ(errc_of(validate_batch(batch)), Errc::kInvalidArgument);
  auto reader = BatchReader::open(batch);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader->next())->offset, Offset(1'000'000'000'000));
  EXPECT_EQ((*reader->next())->offset, Offset(1'000'000'000'001));
  EXPECT_EQ((*reader->next())->level(), Level::kInfo);
}

// ---- damage

TEST(RecordBatch, EveryFlippedByteIsNoticed) {
  for (const Vector& vector : kVectors) {
    const Batch good = vector_batch(vector.hex);
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const unsigned mask : {0x01U, 0x80U, 0xFFU}) {
        Batch bad = good;
        bad[at] ^= static_cast<std::byte>(mask);
        ASSERT_FALSE(validate_batch(bad)) << vector.name << " byte " << at;
        if (at >= 17) {
          ASSERT_EQ(errc_of(validate_batch(bad)), Errc::kCorrupt) << at;
          ASSERT_FALSE(BatchReader::open(bad));
        }
      }
    }
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
      ASSERT_FALSE(validate_batch(Bytes(good).first(cut)));
    }
  }
}

// With the checksum made good again: nothing crashes, and what passes can be read.
TEST(RecordBatch, LyingBytesNeverCrash) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 30000; ++round) {
    Batch batch = vector_batch(kVectors[random() % std::size(kVectors)].hex);
    for (std::uint64_t i = 0; i < 1 + random() % 3; ++i) {
      batch[21 + random() % (batch.size() - 21)] = static_cast<std::byte>(random());
    }
    reseal(batch);
    const auto summary = validate_batch(batch);
    auto reader = BatchReader::open(batch);
    if (!summary) {
      for (bool more = reader.has_value(); more;) {
        const auto record = reader->next();
        more = record && *record != nullptr;
      }
      continue;
    }
    ASSERT_TRUE(reader);
    std::uint32_t count = 0;
    for (;;) {
      const auto record = reader->next();
      ASSERT_TRUE(record) << record.error().describe();
      if (*record == nullptr) {
        break;
      }
      ++count;
    }
    ASSERT_EQ(count, summary->record_count);
  }
}

// ---- the front door

struct Lie {
  std::string_view what;
  std::size_t at;
  std::vector<unsigned> bytes;
  Errc code;
};

TEST(RecordBatch, TheFrontDoorRefusesLies) {
  const Lie lies[] = {
      {.what = "leader epoch", .at = 12, .bytes = {0, 0, 0, 0}, .code = Errc::kInvalidArgument},
      {.what = "magic 1", .at = 16, .bytes = {1}, .code = Errc::kUnsupported},
      {.what = "codec 5", .at = 22, .bytes = {5}, .code = Errc::kUnsupported},
      {.what = "log append time", .at = 22, .bytes = {0x08}, .code = Errc::kUnsupported},
      {.what = "transactional", .at = 22, .bytes = {0x10}, .code = Errc::kUnsupported},
      {.what = "control", .at = 22, .bytes = {0x20}, .code = Errc::kUnsupported},
      {.what = "delete horizon", .at = 22, .bytes = {0x40}, .code = Errc::kUnsupported},
      {.what = "unknown attribute", .at = 21, .bytes = {0x01}, .code = Errc::kUnsupported},
      {.what = "last offset delta", .at = 26, .bytes = {3}, .code = Errc::kInvalidArgument},
      {.what = "base time overflows",
       .at = 27,
       .bytes = {0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
       .code = Errc::kInvalidArgument},
      {.what = "producer -2", .at = 50, .bytes = {0xFE}, .code = Errc::kInvalidArgument},
      {.what = "producer without sequence",
       .at = 43,
       .bytes = {0, 0, 0, 0, 0, 0, 0, 1},
       .code = Errc::kInvalidArgument},
      {.what = "count 4 of 3", .at = 60, .bytes = {4}, .code = Errc::kInvalidArgument},
      {.what = "count 2 of 3", .at = 60, .bytes = {2}, .code = Errc::kInvalidArgument},
      {.what = "count 0", .at = 57, .bytes = {0, 0, 0, 0}, .code = Errc::kInvalidArgument},
      {.what = "count -1",
       .at = 57,
       .bytes = {0xFF, 0xFF, 0xFF, 0xFF},
       .code = Errc::kInvalidArgument},
      {.what = "gzip that is not", .at = 22, .bytes = {1}, .code = Errc::kCorrupt},
      {.what = "record length", .at = 61, .bytes = {0x7F}, .code = Errc::kInvalidArgument},
      {.what = "record attributes", .at = 62, .bytes = {1}, .code = Errc::kInvalidArgument},
      {.what = "offset delta", .at = 64, .bytes = {2}, .code = Errc::kInvalidArgument},
      {.what = "key length -2", .at = 65, .bytes = {3}, .code = Errc::kInvalidArgument},
      {.what = "headers -1", .at = 72, .bytes = {1}, .code = Errc::kInvalidArgument},
      {.what = "bytes behind the headers", .at = 72, .bytes = {0}, .code = Errc::kInvalidArgument},
  };
  for (const Lie& lie : lies) {
    SCOPED_TRACE(lie.what);
    Batch batch = simple_batch();
    for (std::size_t i = 0; i < lie.bytes.size(); ++i) {
      batch.at(lie.at + i) = static_cast<std::byte>(lie.bytes[i]);
    }
    reseal(batch);
    const auto summary = validate_batch(batch);
    ASSERT_FALSE(summary);
    EXPECT_EQ(errc_of(summary), lie.code) << summary.error().describe();
  }
}

TEST(RecordBatch, CountAndDeltaThatLieTogetherAreRefused) {
  for (const std::int32_t count : {2, 4}) {
    Batch batch = simple_batch();
    store_be<std::int32_t>(batch, 57, count);
    store_be<std::int32_t>(batch, 23, count - 1);
    reseal(batch);
    const auto summary = validate_batch(batch);
    ASSERT_FALSE(summary);
    EXPECT_EQ(errc_of(summary), Errc::kInvalidArgument);
  }
  Batch huge = simple_batch();
  store_be<std::int32_t>(huge, 57, std::numeric_limits<std::int32_t>::max());
  store_be<std::int32_t>(huge, 23, std::numeric_limits<std::int32_t>::max() - 1);
  reseal(huge);
  EXPECT_EQ(errc_of(validate_batch(huge)), Errc::kInvalidArgument);
}

// The builder refuses these headers too, so they are made under another name.
Batch with_levels(std::span<const HeaderView> headers) {
  BatchBuilder builder;
  EXPECT_TRUE(builder.add({.value = bytes_of("fine")}));
  EXPECT_TRUE(builder.add({.value = bytes_of("x"), .headers = headers}));
  Batch batch = *builder.build(std::nullopt, Codec::kNone);
  for (auto found = batch.begin();;) {
    const auto name = bytes_of("LEVEL");
    found = std::search(found, batch.end(), name.begin(), name.end());
    if (found == batch.end()) {
      reseal(batch);
      return batch;
    }
    std::ranges::copy(bytes_of("level"), found);
  }
}

TEST(RecordBatch, TheReservedHeaderMustBeALevel) {
  for (const std::string_view text : {"", "0", "25", "info", "017"}) {
    const std::array headers = {HeaderView{.key = "LEVEL", .value = bytes_of(text)}};
    const auto summary = validate_batch(with_levels(headers));
    ASSERT_FALSE(summary) << text;
    EXPECT_EQ(summary.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(summary.error().message(), testing::HasSubstr("record 1 of the batch"));
    EXPECT_THAT(summary.error().message(), testing::HasSubstr("level"));
    BatchBuilder builder;
    const std::array reserved = {HeaderView{.key = "level", .value = bytes_of(text)}};
    EXPECT_EQ(errc_of(builder.add({.headers = reserved})), Errc::kInvalidArgument);
    EXPECT_TRUE(builder.empty());
  }
  const std::array once = {HeaderView{.key = "LEVEL", .value = bytes_of("24")}};
  EXPECT_EQ(validate_batch(with_levels(once))->level_mask, 1U | 1U << 24U);
  const std::array twice = {once[0], once[0]};
  EXPECT_EQ(errc_of(validate_batch(with_levels(twice))), Errc::kInvalidArgument);
  BatchBuilder builder;
  const std::array reserved = {level_header(Level::kInfo), level_header(Level::kInfo)};
  EXPECT_EQ(errc_of(builder.add({.headers = reserved})), Errc::kInvalidArgument);
}

TEST(RecordBatch, Limits) {
  const std::string big(2000, 'x');
  BatchBuilder builder({.record_bytes_max = 2100, .batch_bytes_max = 5000});
  ASSERT_TRUE(builder.add({.value = bytes_of(big)}));
  const std::string bigger(2100, 'x');
  EXPECT_EQ(errc_of(builder.add({.value = bytes_of(bigger)})), Errc::kTooLarge);
  ASSERT_TRUE(builder.add({.value = bytes_of(big)}));
  EXPECT_EQ(errc_of(builder.add({.value = bytes_of(big)})), Errc::kTooLarge);
  EXPECT_EQ(builder.record_count(), 2U) << "a refused record changes nothing";
  const auto batch = *builder.build(std::nullopt, Codec::kNone);
  EXPECT_TRUE(validate_batch(batch, {.batch_bytes_max = batch.size()}));
  EXPECT_EQ(errc_of(validate_batch(batch, {.batch_bytes_max = batch.size() - 1})), Errc::kTooLarge);
  EXPECT_EQ(errc_of(validate_batch(batch, {.record_bytes_max = 2000})), Errc::kTooLarge);
  const std::vector<HeaderView> many(kRecordHeadersMax + 1);
  EXPECT_EQ(errc_of(builder.add({.headers = many})), Errc::kInvalidArgument);
}

TEST(RecordBatch, ABombIsRefusedAndWhatIsLegalIsNot) {
  const std::string zeros(kRecordBytesMax - 100, '\0');
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    SCOPED_TRACE(codec_name(codec));
    BatchBuilder legal;
    for (int i = 0; i < 7; ++i) {
      ASSERT_TRUE(legal.add({.value = bytes_of(zeros)}));
    }
    const auto batch = *legal.build(std::nullopt, codec);
    EXPECT_TRUE(validate_batch(batch));
    const auto small_cap = validate_batch(batch, {.decompressed_bytes_max = 1 << 20});
    ASSERT_FALSE(small_cap);
    EXPECT_EQ(errc_of(small_cap), Errc::kTooLarge);
    BatchBuilder bomb({.batch_bytes_max = 64 << 20});
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(bomb.add({.value = bytes_of(zeros)}));
    }
    EXPECT_EQ(errc_of(validate_batch(*bomb.build(std::nullopt, codec))), Errc::kTooLarge);
  }
}

TEST(RecordBatch, IncompressibleRecordsAreStoredPlain) {
  std::mt19937_64 random(8);
  std::string noise(1000, ' ');
  for (char& c : noise) {
    c = static_cast<char>(random());
  }
  BatchBuilder builder;
  ASSERT_TRUE(builder.add({.value = bytes_of(noise)}));
  const auto batch = *builder.build(std::nullopt, Codec::kZstd);
  EXPECT_EQ(validate_batch(batch)->codec, Codec::kNone);
}

TEST(RecordBatch, TimesFarApart) {
  BatchBuilder builder;
  ASSERT_TRUE(builder.add({.timestamp = std::numeric_limits<TimeMs>::min()}));
  EXPECT_EQ(errc_of(builder.add({.timestamp = 1})), Errc::kInvalidArgument);
  ASSERT_TRUE(builder.add({.timestamp = -1}));
  const auto summary = validate_batch(*builder.build(std::nullopt, Codec::kNone));
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->event_time_min, std::numeric_limits<TimeMs>::min());
  EXPECT_EQ(summary->event_time_max, -1);
}

}  // namespace
}  // namespace lignum
