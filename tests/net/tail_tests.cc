// The merged tail over the client core, against a model of the cluster, in virtual time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/tail_cursor.h"
#include "net/tail_reader.h"
#include "net/tail_shard.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch_builder.h"
#include "storage/record_batch_reader.h"
#include "tests/net/sim_world.h"

namespace lignum::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::byte> batch_of(const std::vector<std::pair<std::string, std::optional<Level>>>& in,
                                Codec codec = Codec::kNone) {
  BatchBuilder builder;
  for (const auto& [value, level] : in) {
    const std::vector<std::byte> bytes = to_bytes(value);
    std::vector<HeaderView> headers;
    if (level) {
      headers.push_back(level_header(*level));
    }
    EXPECT_TRUE(
        builder.add({.timestamp = 5, .key = std::nullopt, .value = bytes, .headers = headers}));
  }
  return *builder.build(std::nullopt, codec);
}

// A world with two streams, and one tail at a time over it.
class TailWorld {
 public:
  explicit TailWorld(std::uint64_t seed, SimFaults faults = {}) : world(seed, faults) {
    app = world.cluster.create("app", 3, 3);
    web = world.cluster.create("web", 2, 3);
    world.cluster.set_wall(1'000'000'000);
    world.client_turn = [this] { return turn(); };
  }

  void append(StreamId stream, std::uint32_t shard, const std::string& value,
              std::optional<Level> level = std::nullopt) {
    world.cluster.append(stream, shard, batch_of({{value, level}}));
    world.cluster_changed();
  }

  // `count` batches spread over shards and levels, the same for every seed of the network.
  void fill(int count, std::uint64_t content_seed) {
    std::mt19937_64 random(content_seed);
    TimeUs wall = 1'000'000'000;
    for (int i = 0; i < count; ++i) {
      wall += static_cast<TimeUs>(random() % 50'000);
      world.cluster.set_wall(wall);
      append_random(i, random);
    }
  }
  void append_random(int number, std::mt19937_64& random) {
    std::vector<std::pair<std::string, std::optional<Level>>> records;
    const std::size_t size = 1 + random() % 4;
    for (std::size_t i = 0; i < size; ++i) {
      std::optional<Level> level;
      if (random() % 3 != 0) {
        level = random() % 2 == 0 ? Level::kInfo : Level::kError;
      }
      records.emplace_back(std::to_string(number) + "." + std::to_string(i), level);
    }
    const bool first = random() % 2 == 0;
    world.cluster.append(first ? app : web, static_cast<std::uint32_t>(random() % (first ? 3 : 2)),
                         batch_of(records, random() % 2 == 0 ? Codec::kNone : Codec::kLz4));
    world.cluster_changed();
  }

  void open(TailOptions options) {
    lines.clear();
    gaps.clear();
    ended = false;
    error.reset();
    ++opened_;
    tail = std::make_unique<TailReader>(
        TailReader::Options{.tail = std::move(options),
                            .request_timeout = request_timeout,
                            .backoff = {.first = 5 * kMillisecond, .most = 50 * kMillisecond},
                            .seed = 1});
    stalled_at_ = kMomentMax;
  }

  // Reads to the end, to an error, or to `limit` lines.
  void read(std::size_t limit = SIZE_MAX, Moment time = 300 * kSecond) {
    line_limit_ = limit;
    finished_ =
        world.run([&] { return ended || error || lines.size() >= limit; }, world.now() + time);
  }
  std::vector<std::string> read_all(TailOptions options) {
    open(std::move(options));
    read();
    EXPECT_TRUE(ended) << (error ? error->describe() : "no end");
    return lines;
  }

  // Every record in the order of the contract.
  [[nodiscard]] std::vector<std::string> expected(
      std::uint32_t mask = 0xFFFFFFFFU, std::vector<std::pair<StreamId, std::uint32_t>> of = {}) {
    if (of.empty()) {
      of = {{app, 3}, {web, 2}};
    }
    std::vector<std::tuple<TimeUs, StreamId, std::uint32_t, Offset, std::string>> all;
    for (const auto& [stream, shards] : of) {
      for (std::uint32_t shard = 0; shard < shards; ++shard) {
        const auto& model = world.cluster.shard(stream, shard);
        for (const auto& batch : model.batches) {
          auto reader = BatchReader::open(batch.bytes);
          for (auto r = reader->next(); r && *r != nullptr; r = reader->next()) {
            if ((*r)->offset >= model.start && (level_bit((*r)->level()) & mask) != 0) {
              all.emplace_back(batch.append_time, stream, shard, (*r)->offset, text(*(*r)->value));
            }
          }
        }
      }
    }
    std::ranges::sort(all);
    std::vector<std::string> values;
    for (const auto& item : all) {
      values.push_back(std::get<4>(item));
    }
    return values;
  }

  SimWorld world;
  Moment request_timeout = 60 * kSecond;
  StreamId app;
  StreamId web;
  std::unique_ptr<TailReader> tail;
  std::vector<std::string> lines;
  std::vector<Gap> gaps;
  bool ended = false;
  std::optional<Error> error;

 private:
  static std::string text(Bytes bytes) {
    std::string value;
    for (const std::byte byte : bytes) {
      value += static_cast<char>(byte);
    }
    return value;
  }

  Moment turn() {
    if (!tail) {
      return kMomentMax;
    }
    drain();
    tail->turn(world.now());
    for (TailRequest& request : tail->take_requests()) {
      Call call;
      call.request = std::move(request.request);
      call.shard = request.shard;
      call.deadline = request.deadline;
      call.retry = request.retry;
      call.done = [this, token = request.token, tail_number = opened_](const CallResult& result) {
        if (tail_number == opened_) {
          tail->on_reply(token, result, world.now());
        }
      };
      world.call(std::move(call));
    }
    drain();
    return tail->wants_turn() && lines.size() < line_limit_ ? world.now() : tail->next_wakeup();
  }

  void drain() {
    while (!ended && !error && lines.size() < line_limit_) {
      auto item = tail->next();
      if (!item) {
        error = item.error();
      } else if (!*item) {
        return;
      } else if (const auto* record = std::get_if<ReadRecord>(&**item)) {
        lines.push_back(text(record->value));
      } else if (const auto* gap = std::get_if<Gap>(&**item)) {
        gaps.push_back(*gap);
      } else {
        ended = true;
      }
    }
  }

  int opened_ = 0;
  std::size_t line_limit_ = SIZE_MAX;
  bool finished_ = false;
  Moment stalled_at_ = kMomentMax;
};

TailOptions from(TailStart::Kind kind) {
  TailOptions options;
  options.streams = {"app", "web"};
  options.start.kind = kind;
  return options;
}

TailOptions last(std::uint64_t count) {
  TailOptions options = from(TailStart::Kind::kLast);
  options.start.count = count;
  return options;
}

template <class T>
std::vector<T> tail_of(const std::vector<T>& all, std::size_t count) {
  return {all.end() - static_cast<std::ptrdiff_t>(std::min(count, all.size())), all.end()};
}

int seeds() {
  const char* const proof = std::getenv("LIGNUM_PROOF");  // NOLINT(concurrency-mt-unsafe)
  return proof != nullptr && std::string_view(proof) == "full" ? 3000 : 60;
}

SimFaults bad_network(int seed) {
  return {.lose_connection = seed % 2 == 0 ? 30 : 0,
          .refuse = seed % 3 == 0 ? 50 : 0,
          .repeat_answer = 30,
          .refuse_connect = 100,
          .delay_max = seed % 5 == 0 ? 200 * kMillisecond : 3 * kMillisecond};
}

TEST(TailTest, EverythingInOneOrderWhateverTheTimings) {
  for (int seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(seed);
    TailWorld world(static_cast<std::uint64_t>(seed), bad_network(seed));
    world.fill(120, 99);
    TailOptions options = from(TailStart::Kind::kEarliest);
    options.buffer_bytes_max = seed % 4 == 0 ? 1 : 1 << 20;
    EXPECT_EQ(world.read_all(options), world.expected());
    ASSERT_FALSE(HasFailure());
  }
}

TEST(TailTest, FollowsLiveAppendsInOneOrder) {
  for (int seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(seed);
    TailWorld world(static_cast<std::uint64_t>(seed), bad_network(seed));
    world.fill(30, static_cast<std::uint64_t>(seed));
    auto random = std::make_shared<std::mt19937_64>(static_cast<std::uint64_t>(seed));
    for (int i = 0; i < 80; ++i) {
      world.world.at(1 + static_cast<Moment>((*random)() % 2'000'000),
                     [&world, i, random] { world.append_random(100 + i, *random); });
    }
    TailOptions options = from(TailStart::Kind::kEarliest);
    options.follow = true;
    world.open(options);
    world.read(SIZE_MAX, 20 * kSecond);
    EXPECT_EQ(world.lines, world.expected());
    EXPECT_FALSE(world.error) << world.error->describe();
    ASSERT_FALSE(HasFailure());
  }
}

TEST(TailTest, CursorGoesOnWhereItStopped) {
  for (int seed = 1; seed <= seeds() / 3; ++seed) {
    TailWorld world(static_cast<std::uint64_t>(seed), bad_network(seed));
    world.fill(60, 5);
    std::vector<std::string> seen;
    std::string cursor;
    for (std::size_t piece = 1; seen.size() < world.expected().size(); piece += 3) {
      TailOptions options =
          from(cursor.empty() ? TailStart::Kind::kEarliest : TailStart::Kind::kCursor);
      options.start.cursor = cursor;
      world.open(options);
      world.read(piece);
      ASSERT_FALSE(world.error) << world.error->describe();
      ASSERT_FALSE(world.lines.empty());
      seen.insert(seen.end(), world.lines.begin(), world.lines.end());
      cursor = world.tail->cursor();
    }
    EXPECT_EQ(seen, world.expected());
  }
}

TEST(TailTest, LastRecordsOfTheMergedOrderAfterTheFilter) {
  for (int seed = 1; seed <= seeds() / 3; ++seed) {
    SCOPED_TRACE(seed);
    TailWorld world(static_cast<std::uint64_t>(seed), bad_network(seed));
    world.fill(100, static_cast<std::uint64_t>(seed));
    const std::uint32_t errors = level_range_mask(Level::kError, Level::kFatal);
    for (const std::uint64_t count : {0UL, 1UL, 7UL, 40UL, 100'000UL}) {
      EXPECT_EQ(world.read_all(last(count)), tail_of(world.expected(), count)) << count;
      TailOptions filtered = last(count);
      filtered.level_mask = errors;
      EXPECT_EQ(world.read_all(filtered), tail_of(world.expected(errors), count)) << count;
    }
    ASSERT_FALSE(HasFailure());
  }
}

TEST(TailTest, LevelFilterKeepsTheOrder) {
  TailWorld world(3);
  world.fill(100, 3);
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.level_mask = level_bit(Level::kInfo) | level_bit(std::nullopt);
  EXPECT_EQ(world.read_all(options), world.expected(options.level_mask));
}

TEST(TailTest, TimesCutTheMergedOrder) {
  TailWorld world(3);
  for (int i = 0; i < 10; ++i) {
    world.world.cluster.set_wall(1'000'000'000 + i * 1000);
    world.append(i % 2 == 0 ? world.app : world.web, static_cast<std::uint32_t>(i % 2),
                 std::to_string(i));
  }
  TailOptions options = from(TailStart::Kind::kTime);
  options.start.time = 1'000'003'000;
  options.until = 1'000'007'000;
  EXPECT_THAT(world.read_all(options), ElementsAre("3", "4", "5", "6"));
  // The cursor of a tail that ended at `until` goes on there.
  TailOptions rest = from(TailStart::Kind::kCursor);
  rest.start.cursor = world.tail->cursor();
  EXPECT_THAT(world.read_all(rest), ElementsAre("7", "8", "9"));
}

TEST(TailTest, FollowUntilEndsOnIdleGroupsToo) {
  TailWorld world(3);
  world.append(world.app, 0, "a");
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.follow = true;
  options.until = 1'000'000'000 + 5 * kSecond;
  EXPECT_THAT(world.read_all(options), ElementsAre("a"));
}

TEST(TailTest, NotFollowingEndsAtTheWatermarksSeenFirst) {
  TailWorld world(3);
  world.append(world.app, 0, "a");
  world.open(from(TailStart::Kind::kEarliest));
  for (int i = 0; i < 1000; ++i) {
    world.world.at(20'000 + i * 100, [&world] { world.append(world.app, 1, "late"); });
  }
  world.read();
  EXPECT_TRUE(world.ended);
  EXPECT_THAT(world.lines, ElementsAre("a"));
}

TEST(TailTest, LatestShowsOnlyWhatComes) {
  TailWorld world(3);
  world.append(world.app, 0, "old");
  TailOptions options = from(TailStart::Kind::kLatest);
  options.follow = true;
  world.open(options);
  world.world.at(kSecond, [&world] { world.append(world.app, 0, "new"); });
  world.read(1, 5 * kSecond);
  EXPECT_THAT(world.lines, ElementsAre("new"));
}

TEST(TailTest, IdleGroupsAreAskedToCloseTheTime) {
  TailWorld world(3);
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.follow = true;
  world.open(options);
  world.world.at(kSecond, [&world] { world.append(world.app, 0, "only"); });
  const Moment start = world.world.now();
  world.read(1, 5 * kSecond);
  EXPECT_THAT(world.lines, ElementsAre("only"));
  EXPECT_LT(world.world.now() - start, 2 * kSecond);
}

TEST(TailTest, TrimmedOffsetsAreAnErrorOrAGapButNeverSilent) {
  TailWorld world(3);
  for (int i = 0; i < 6; ++i) {
    world.append(world.app, 1, std::to_string(i));
  }
  TailOptions options = from(TailStart::Kind::kOffset);
  options.streams = {"app"};
  options.shard = ShardNumber(1);
  options.start.offset = Offset(2);
  world.world.cluster.trim(world.app, 1, Offset(4));
  world.open(options);
  world.read();
  ASSERT_TRUE(world.error);
  EXPECT_EQ(world.error->code(), Errc::kTrimmed);
  EXPECT_THAT(world.error->message(), HasSubstr("2 to 3"));
  options.skip_gaps = true;
  EXPECT_THAT(world.read_all(options), ElementsAre("4", "5"));
  ASSERT_EQ(world.gaps.size(), 1U);
  EXPECT_EQ(world.gaps.front().from, Offset(2));
  EXPECT_EQ(world.gaps.front().to, Offset(4));
}

TEST(TailTest, WhatANodeCannotReadIsAnErrorOrAGapButNeverSilent) {
  TailWorld world(3);
  for (int i = 0; i < 6; ++i) {
    world.append(world.app, 1, std::to_string(i));
  }
  world.world.cluster.shard(world.app, 1).damaged_from = Offset(2);
  world.world.cluster.shard(world.app, 1).damaged_to = Offset(4);
  TailOptions options = from(TailStart::Kind::kEarliest);
  world.open(options);
  world.read();
  ASSERT_TRUE(world.error);
  EXPECT_EQ(world.error->code(), Errc::kCorrupt);
  // What lies before it came.
  EXPECT_THAT(world.lines, ElementsAre("0", "1"));
  EXPECT_THAT(world.error->message(), HasSubstr("app/1 at offset 2: file: byte 7"));
  EXPECT_THAT(world.error->message(), HasSubstr("offset 4 and what follows is served"));
  options.skip_gaps = true;
  EXPECT_THAT(world.read_all(options), ElementsAre("0", "1", "4", "5"));
  ASSERT_EQ(world.gaps.size(), 1U);
  EXPECT_EQ(world.gaps.front().reason, Errc::kCorrupt);
  EXPECT_EQ(world.gaps.front().from, Offset(2));
  EXPECT_EQ(world.gaps.front().to, Offset(4));
}

TEST(TailTest, HoleThatTheNodeDoesNotOwnUpToIsAnErrorNotSilence) {
  TailWorld world(3);
  for (int i = 0; i < 6; ++i) {
    world.append(world.app, 1, std::to_string(i));
  }
  auto& batches = world.world.cluster.shard(world.app, 1).batches;
  batches.erase(batches.begin() + 2);
  world.open(from(TailStart::Kind::kEarliest));
  world.read();
  ASSERT_TRUE(world.error);
  EXPECT_EQ(world.error->code(), Errc::kProtocol);
  EXPECT_THAT(world.error->message(), HasSubstr("left out"));
}

TEST(TailTest, DeletedStreamEndsTheTail) {
  TailWorld world(3);
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.follow = true;
  world.open(options);
  world.world.at(kSecond, [&world] {
    world.world.cluster.remove("web");
    world.world.cluster_changed();
  });
  world.read(SIZE_MAX, 60 * kSecond);
  ASSERT_TRUE(world.error);
  EXPECT_EQ(world.error->code(), Errc::kNotFound);
  EXPECT_THAT(world.error->message(), HasSubstr("'web' was deleted"));
}

// Batches that fill a read each, so that a tail with little memory needs many round trips.
void fill_large(TailWorld& world, int count) {
  for (int i = 0; i < count; ++i) {
    world.append(world.app, 0, std::string(40'000, 'x') + std::to_string(i));
  }
}

TailOptions thrifty(TailStart::Kind kind) {
  TailOptions options = from(kind);
  options.streams = {"app"};
  options.buffer_bytes_max = 1;
  return options;
}

TEST(TailTest, WithAnEndItFailsWhereANodeFallsSilent) {
  for (int seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(seed);
    TailWorld world(static_cast<std::uint64_t>(seed), bad_network(seed));
    world.request_timeout = 2 * kSecond;
    fill_large(world, 40);
    world.open(seed % 2 == 0 ? thrifty(TailStart::Kind::kEarliest) : last(1000));
    if (seed % 2 == 0) {
      world.read(3);
    }
    ASSERT_FALSE(world.error || world.ended);
    const Moment fell_silent = world.world.now();
    world.world.swallows = [](const wire::Request& request) { return request.has_read(); };
    world.read(SIZE_MAX, 100 * kSecond);
    ASSERT_TRUE(world.error);
    EXPECT_EQ(world.error->code(), Errc::kTimeout);
    EXPECT_THAT(world.error->message(), HasSubstr("nothing arrived of "));
    EXPECT_LT(world.world.now() - fell_silent, 6 * kSecond);
    ASSERT_FALSE(HasFailure());
  }
}

// The deadline is for nothing at all: what arrives in time puts it off.
TEST(TailTest, WithAnEndItReadsAsLongAsSomethingArrives) {
  TailWorld world(7, {.delay_max = 400 * kMillisecond});
  world.request_timeout = kSecond;
  fill_large(world, 60);
  const Moment begun = world.world.now();
  world.open(thrifty(TailStart::Kind::kEarliest));
  world.read();
  EXPECT_TRUE(world.ended) << (world.error ? world.error->describe() : "no end");
  EXPECT_EQ(world.lines.size(), 60U);
  EXPECT_GT(world.world.now() - begun, 5 * kSecond);
}

TEST(TailTest, WithoutAnEndItWaitsForEver) {
  TailWorld world(8);
  world.request_timeout = 2 * kSecond;
  world.append(world.app, 0, "one");
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.follow = true;
  world.open(options);
  world.read(1);
  world.world.swallows = [](const wire::Request& request) { return request.has_read(); };
  world.world.run([] { return false; }, world.world.now() + 60 * kSecond);
  EXPECT_FALSE(world.error) << world.error->describe();
  world.world.swallows = [](const wire::Request&) { return false; };
  world.append(world.app, 0, "two");
  world.read(2);
  EXPECT_THAT(world.lines, ElementsAre("one", "two"));
}

// Where the reader takes no records the tail asks for none: that is not the node's silence.
TEST(TailTest, AReaderMayPauseForLongerThanTheDeadline) {
  TailWorld world(9);
  world.request_timeout = 2 * kSecond;
  fill_large(world, 40);
  world.open(thrifty(TailStart::Kind::kEarliest));
  world.read(5);
  world.world.run([] { return false; }, world.world.now() + 60 * kSecond);
  world.read();
  EXPECT_TRUE(world.ended) << (world.error ? world.error->describe() : "no end");
  EXPECT_EQ(world.lines.size(), 40U);
}

// So many names that they fit neither into one request nor into one answer.
TEST(TailTest, NamesAreLookedUpInAsManyRequestsAsItTakes) {
  TailWorld world(3);
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (int i = 0; i < 700; ++i) {
    names.push_back(std::string(245, 'x') + std::to_string(100 + i));
    const StreamId stream = world.world.cluster.create(names.back(), 1, 3);
    values.push_back(std::to_string(i));
    world.world.cluster.set_wall(1'000'000'000 + i * 1000);
    world.append(stream, 0, values.back());
  }
  ASSERT_GT(names.size() * names.front().size(), 2 * TailReader::kNamesBytesMax);
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.streams = names;
  for (const int page : {1, 7, 100'000}) {
    world.world.cluster.set_page(page);
    EXPECT_EQ(world.read_all(options), values) << page << " streams an answer";
  }
  options.streams.push_back("nothing");
  world.open(options);
  world.read();
  ASSERT_TRUE(world.error);
  EXPECT_THAT(world.error->message(), HasSubstr("'nothing' does not exist"));

  options.streams.pop_back();
  options.follow = true;
  world.open(options);
  world.world.at(world.world.now() + kSecond, [&] {
    world.world.cluster.remove(names.back());
    world.world.cluster_changed();
  });
  world.read(SIZE_MAX, 60 * kSecond);
  ASSERT_TRUE(world.error);
  EXPECT_THAT(world.error->message(), HasSubstr(names.back() + "' was deleted"));
}

TEST(TailTest, WrongQuestionsAreRefused) {
  TailWorld world(3);
  const auto code = [&](const TailOptions& options) {
    world.open(options);
    world.read();
    return world.error ? world.error->code() : Errc::kInternal;
  };
  TailOptions options = from(TailStart::Kind::kEarliest);
  options.streams = {};
  EXPECT_EQ(code(options), Errc::kInvalidArgument);
  options.streams = {"nothing"};
  EXPECT_EQ(code(options), Errc::kNotFound);
  options.streams = {"app", "app"};
  EXPECT_EQ(code(options), Errc::kInvalidArgument);
  options.streams = {"app"};
  options.shard = ShardNumber(9);
  EXPECT_EQ(code(options), Errc::kNotFound);
  options.shard = ShardNumber(0);
  options.start.kind = TailStart::Kind::kOffset;
  options.start.offset = Offset(1);
  EXPECT_EQ(code(options), Errc::kOffsetOutOfRange);
  options.start.kind = TailStart::Kind::kCursor;
  options.start.cursor = "v1:77:0=0";
  EXPECT_EQ(code(options), Errc::kNotFound);
  options.start.cursor = "nonsense";
  EXPECT_EQ(code(options), Errc::kInvalidArgument);
  options.start.cursor = "v2:nonsense";
  EXPECT_EQ(code(options), Errc::kUnsupported);
  options.level_mask = 0;
  EXPECT_EQ(code(options), Errc::kInvalidArgument);
}

TEST(TailCursorTest, TextAndBack) {
  const TailPositions positions = {
      {{.stream = StreamId(7), .shard = ShardNumber(0)}, Offset(12)},
      {{.stream = StreamId(7), .shard = ShardNumber(1)}, Offset(0)},
      {{.stream = StreamId(9), .shard = ShardNumber(3)}, Offset(UINT64_MAX)}};
  const std::string text = format_cursor(positions);
  EXPECT_EQ(text, "v1:7:0=12,1=0;9:3=18446744073709551615");
  EXPECT_EQ(*parse_cursor(text), positions);
  // The place is told, in bytes from 0.
  EXPECT_THAT(parse_cursor("v1:7:0=12,1=x").error().message(), HasSubstr("byte 10: '1=x'"));
  EXPECT_THAT(parse_cursor("v1:7:0=12;9").error().message(), HasSubstr("byte 10: '9'"));
  for (const char* const bad :
       {"v1:", "v1:7", "v1:7:", "v1:7:0", "v1:7:0=", "v1:7:0=x", "v1::0=1", "v1:7:0=1,0=2",
        "v1:7:0=1,", "v1:7:0=1;", "v1:7:0=1 ", "v2:7:0=1", "v1:7:-1=1"}) {
    EXPECT_FALSE(parse_cursor(bad)) << bad;
  }
}

}  // namespace
}  // namespace lignum::net
