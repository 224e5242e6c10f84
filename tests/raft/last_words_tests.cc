// What a process says before it ends goes through whoever was made its writer.

#include "raft/last_words.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "raft/check.h"

namespace lignum {
namespace {

void write_marked(std::string_view text) {
  std::fprintf(stderr, "<%.*s>", static_cast<int>(text.size()), text.data());
}

TEST(LastWordsDeathTest, OfABrokenInvariant) {
  EXPECT_EXIT(
      {
        set_last_words_writer(write_marked);
        CHECK(1 > 2);
      },
      ::testing::KilledBySignal(SIGABRT), "<CHECK failed: 1 > 2 at .*last_words_tests.cc:.*\n>");
}

TEST(LastWordsDeathTest, OfAFailedDisk) {
  EXPECT_EXIT(
      {
        set_last_words_writer(write_marked);
        stop_for_failed_disk("segment 7");
      },
      ::testing::ExitedWithCode(7), "<fatal: segment 7\nThe node stops .*disk-failure.md.*\n>");
}

TEST(LastWordsDeathTest, GoToStderrWhereNobodySaysBetter) {
  EXPECT_DEATH(CHECK(false), "^CHECK failed: false");
}

}  // namespace
}  // namespace lignum
