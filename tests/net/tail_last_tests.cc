// The search for the last records of a merged order, on logs made up of nothing but times: it must
// find the very last, ask little and scan little, however old the last record is.

#include "net/tail_last.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "raft/random.h"
#include "raft/types.h"

namespace lignum::net {
namespace {

constexpr TimeUs kSecond = 1'000'000;
constexpr TimeUs kHour = 3'600 * kSecond;
constexpr TimeUs kNow = 1'000'000 * kHour;

// The times of each shard's records, in order; a record's offset is its place.
using Logs = std::vector<std::vector<TimeUs>>;
using Passes = std::function<bool(std::size_t shard, std::uint64_t offset)>;

bool everything(std::size_t /*shard*/, std::uint64_t /*offset*/) { return true; }

struct Found {
  std::vector<Offset> starts;
  std::uint64_t questions = 0;
  std::uint64_t scanned = 0;
};

std::vector<TailBounds> bounds(const Logs& logs, TimeUs at) {
  std::vector<TailBounds> all;
  for (const std::vector<TimeUs>& log : logs) {
    const auto first = std::ranges::lower_bound(log, at) - log.begin();
    all.push_back({.start = Offset(0),
                   .watermark = Offset(log.size()),
                   .at = Offset(static_cast<std::uint64_t>(first)),
                   .closed = kNow});
  }
  return all;
}

struct Place {
  TimeUs time;
  std::size_t shard;
  std::uint64_t offset;
  auto operator<=>(const Place&) const = default;
};

std::vector<Place> merged(const Logs& logs, const std::function<std::uint64_t(std::size_t)>& from) {
  std::vector<Place> places;
  for (std::size_t shard = 0; shard < logs.size(); ++shard) {
    for (std::uint64_t offset = from(shard); offset < logs[shard].size(); ++offset) {
      places.push_back({.time = logs[shard][offset], .shard = shard, .offset = offset});
    }
  }
  std::ranges::sort(places);
  return places;
}

Found search(const Logs& logs, std::uint64_t count, const Passes& passes = everything) {
  LastSearch last(count, bounds(logs, 0), kNow);
  Found found;
  while (true) {
    ++found.questions;
    if (found.questions > 1000) {
      ADD_FAILURE() << "it asks for ever";
      return found;
    }
    if (last.on_window(bounds(logs, last.window_start())) == LastSearch::Verdict::kAskAgain) {
      continue;
    }
    for (const Place& place :
         merged(logs, [&](std::size_t shard) { return last.scan_start(shard).value(); })) {
      ++found.scanned;
      if (passes(place.shard, place.offset)) {
        last.on_record(place.shard, Offset(place.offset));
      }
    }
    if (auto starts = last.on_scanned()) {
      found.starts = std::move(*starts);
      return found;
    }
  }
}

std::vector<Offset> by_looking_at_all(const Logs& logs, std::uint64_t count, const Passes& passes) {
  std::vector<Place> places = merged(logs, [](std::size_t) { return std::uint64_t{0}; });
  std::erase_if(places, [&](const Place& place) { return !passes(place.shard, place.offset); });
  const std::size_t kept = std::min<std::size_t>(count, places.size());
  std::vector<Offset> starts;
  for (const std::vector<TimeUs>& log : logs) {
    starts.emplace_back(log.size());
  }
  for (std::size_t i = places.size() - kept; i < places.size(); ++i) {
    starts[places[i].shard] = std::min(starts[places[i].shard], Offset(places[i].offset));
  }
  return starts;
}

// Ten thousand records of ten seconds, `age` ago.
std::vector<TimeUs> filled(TimeUs age) {
  std::vector<TimeUs> log;
  for (TimeUs i = 0; i < 10'000; ++i) {
    log.push_back(kNow - age - 10 * kSecond + i * 1'000);
  }
  return log;
}

TEST(LastSearch, AnIdleStreamIsNotReadAsAWhole) {
  for (const TimeUs age : {TimeUs{0}, kSecond, 40 * kSecond, kHour, 1000 * kHour}) {
    SCOPED_TRACE(age);
    const Logs logs = {filled(age), {}, filled(age + kSecond)};
    for (const std::uint64_t count : {1U, 10U, 1000U}) {
      const Found found = search(logs, count);
      EXPECT_EQ(found.starts, by_looking_at_all(logs, count, everything));
      EXPECT_LE(found.questions, 60U);
      // Four times as many and a few, or those of a millisecond.
      EXPECT_LE(found.scanned, 4 * count + 200U);
    }
  }
}

TEST(LastSearch, WhereFewPassTheNextWindowHoldsFourTimesAsMany) {
  const Logs logs = {filled(kHour), filled(kHour)};
  const Passes one_of_twenty = [](std::size_t, std::uint64_t offset) { return offset % 20 == 0; };
  const Found found = search(logs, 10, one_of_twenty);
  EXPECT_EQ(found.starts, by_looking_at_all(logs, 10, one_of_twenty));
  // The last scan holds at most sixteen times what was needed, and all before it a third of that.
  EXPECT_LE(found.scanned, 16 * 200 * 4 / 3);
  EXPECT_GE(found.scanned, 190U);
}

TEST(LastSearch, WhereNothingPassesEverythingIsScannedAndItEnds) {
  const Logs logs = {{kNow - kHour, kNow - 10}, {kNow - 2 * kHour}};
  const Found found = search(logs, 3, [](std::size_t, std::uint64_t) { return false; });
  EXPECT_EQ(found.starts, (std::vector{Offset(2), Offset(1)}));
  EXPECT_EQ(search({{}, {}}, 3).starts, (std::vector{Offset(0), Offset(0)}));
}

TEST(LastSearch, AgreesWithLookingAtAll) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Logs logs(1 + random.below(4));
    for (std::vector<TimeUs>& log : logs) {
      // Bursts between pauses of very different lengths; records of a burst share their time.
      TimeUs time = kNow - static_cast<TimeUs>(random.below(std::uint64_t{1} << random.below(50)));
      for (std::uint64_t bursts = random.below(6); bursts > 0 && time <= kNow; --bursts) {
        log.insert(log.end(), 1 + random.below(40), time);
        time += static_cast<TimeUs>(random.below(std::uint64_t{1} << random.below(40)));
      }
    }
    const std::uint64_t one_of = 1 + random.below(8);
    const Passes passes = [&](std::size_t shard, std::uint64_t offset) {
      return (offset + shard) % one_of == 0;
    };
    const std::uint64_t count = 1 + random.below(30);
    EXPECT_EQ(search(logs, count, passes).starts, by_looking_at_all(logs, count, passes));
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace lignum::net
