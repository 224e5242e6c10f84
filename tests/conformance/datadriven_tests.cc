// The reader of scripts, on texts that hold every form it knows.

#include "tests/conformance/datadriven.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "raft/error.h"

namespace lignum::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DataDriven, ReadsCommandArgumentsBodyAndExpectation) {
  const auto blocks = parse_blocks("one.txt", R"(# about
# the first

deliver-msgs 1 2 drop=(3, 4) none=() type=MsgApp
  v1 l2
r3
----
a
  b

# between
stabilize
----
)");
  ASSERT_TRUE(blocks) << blocks.error().message();
  ASSERT_EQ(blocks->size(), 2U);
  const Block& first = blocks->front();
  EXPECT_EQ(first.place, "one.txt:4");
  EXPECT_EQ(first.command, "deliver-msgs");
  ASSERT_EQ(first.arguments.size(), 5U);
  EXPECT_EQ(first.arguments[0].key, "1");
  EXPECT_THAT(first.arguments[0].values, IsEmpty());
  EXPECT_EQ(first.arguments[1].key, "2");
  ASSERT_NE(first.find("drop"), nullptr);
  EXPECT_THAT(first.find("drop")->values, ElementsAre("3", "4"));
  ASSERT_NE(first.find("none"), nullptr);
  EXPECT_THAT(first.find("none")->values, IsEmpty());
  EXPECT_EQ(first.value("type"), "MsgApp");
  EXPECT_EQ(first.value("drop"), std::nullopt);
  EXPECT_EQ(first.find("absent"), nullptr);
  EXPECT_THAT(first.body, ElementsAre("v1 l2", "r3"));
  EXPECT_THAT(first.expected, ElementsAre("a", "  b"));
  const Block& second = blocks->back();
  EXPECT_EQ(second.place, "one.txt:12");
  EXPECT_EQ(second.command, "stabilize");
  EXPECT_THAT(second.body, IsEmpty());
  EXPECT_THAT(second.expected, IsEmpty());
}

TEST(DataDriven, LinesThatLookLikeCommentsBelongToTheirBlock) {
  const auto blocks = parse_blocks("two.txt", "propose\n# body\n----\n# expected\n----\nlast");
  ASSERT_TRUE(blocks) << blocks.error().message();
  EXPECT_THAT(blocks->front().body, ElementsAre("# body"));
  EXPECT_THAT(blocks->front().expected, ElementsAre("# expected", "----", "last"));
}

TEST(DataDriven, SaysWhichLineItCannotRead) {
  const auto open = parse_blocks("three.txt", "\nvote cfg=(1,2\n----\n");
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().message(), HasSubstr("three.txt:2"));
  const auto endless = parse_blocks("three.txt", "vote\nbody\n");
  ASSERT_FALSE(endless);
  EXPECT_THAT(endless.error().message(), HasSubstr("three.txt:1: no ----"));
  const auto doubled = parse_blocks("three.txt", "vote\n----\n----\n\n----\n----\n");
  ASSERT_FALSE(doubled);
  EXPECT_THAT(doubled.error().message(), HasSubstr("three.txt:3"));
  EXPECT_EQ(read_blocks("/nonexistent/four.txt").error().code(), Errc::kIo);
}

}  // namespace
}  // namespace lignum::conformance
