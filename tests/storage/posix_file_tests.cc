#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "raft/payload.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/posix_file.h"
#include "tests/storage/errc_of.h"
#include "tests/storage/temporary_directory.h"

namespace lignum::storage {
namespace {

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_at(const File& file, std::uint64_t position, std::size_t bytes) {
  std::string text(bytes, '\0');
  const auto count = file.read_at(position, std::as_writable_bytes(std::span(text)));
  EXPECT_TRUE(count);
  text.resize(count.value_or(0));
  return text;
}

class PosixFileTest : public testing::Test {
 protected:
  TemporaryDirectory temporary_;
  std::unique_ptr<Directory> directory_ = *open_posix_directory(temporary_.path());
};

TEST_F(PosixFileTest, WritesReadsAndSizes) {
  auto file = *directory_->open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->write_at(3, bytes_of("hello")));
  EXPECT_EQ(file->size(), 8U);
  EXPECT_EQ(text_at(*file, 0, 100), std::string("\0\0\0hello", 8));
  EXPECT_EQ(text_at(*file, 7, 1), "o");
  EXPECT_EQ(text_at(*file, 8, 5), "");
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(file->resize(4));
  EXPECT_EQ(file->size(), 4U);
  ASSERT_TRUE(file->resize(6));
  EXPECT_EQ(text_at(*file, 0, 100), std::string("\0\0\0h\0\0", 6));
  EXPECT_FALSE(file->direct());
  const auto reader = *directory_->open("a", OpenMode::kRead);
  EXPECT_EQ(text_at(*reader, 3, 1), "h");
  EXPECT_EQ(errc_of(reader->resize(0)), Errc::kIo);
}

TEST_F(PosixFileTest, DirectHandlesWriteBlocksAndReadAnything) {
  ASSERT_TRUE((*directory_->open("a", OpenMode::kCreate))->resize(4 * kBlockBytes));
  const auto file = *directory_->open("a", OpenMode::kWriteDirect);
  AlignedBuffer block(2 * kBlockBytes);
  std::ranges::fill(block.span(), std::byte{'x'});
  ASSERT_TRUE(file->write_at(kBlockBytes, block.bytes()));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(text_at(*file, kBlockBytes - 2, 4), std::string("\0\0xx", 4));
  EXPECT_EQ(text_at(*file, 3 * kBlockBytes - 1, 3), std::string("x\0\0", 3));
  EXPECT_EQ(text_at(*file, 4 * kBlockBytes - 1, 3).size(), 1U);
  EXPECT_EQ(text_at(*file, 9 * kBlockBytes, 3), "");
  AlignedBuffer whole(8 * kBlockBytes);
  EXPECT_EQ(file->read_at(0, whole.span()), 4 * kBlockBytes);
  if (file->direct()) {
    EXPECT_DEATH(EXPECT_TRUE(file->write_at(1, block.bytes())), "CHECK");
  }
  const auto buffered = *directory_->open("a", OpenMode::kRead);
  EXPECT_EQ(text_at(*buffered, kBlockBytes, 2), "xx");
}

// Large writes take another way than small ones: all handles see both.
TEST_F(PosixFileTest, LargeAndSmallWritesInTurn) {
  constexpr std::size_t kLarge = std::size_t{1} << 20;
  ASSERT_TRUE((*directory_->open("a", OpenMode::kCreate))->resize(4 * kLarge));
  const auto file = *directory_->open("a", OpenMode::kWriteSynced);
  const auto buffered = *directory_->open("a", OpenMode::kRead);
  std::string expected;
  for (char letter = 'a'; letter < 'g'; ++letter) {
    // Each begins with the last block of the one before it, as the flushes of a log do.
    const std::size_t begin = expected.empty() ? 0 : expected.size() - kBlockBytes;
    AlignedBuffer bytes(letter % 2 == 0 ? 2 * kBlockBytes : kLarge);
    std::ranges::fill(bytes.span(), static_cast<std::byte>(letter));
    ASSERT_TRUE(file->write_at(begin, bytes.bytes()));
    ASSERT_TRUE(file->sync());
    expected.resize(begin);
    expected.append(bytes.bytes().size(), letter);
    ASSERT_EQ(text_at(*file, 0, expected.size()), expected);
    ASSERT_EQ(text_at(*buffered, 0, expected.size()), expected);
  }
}

TEST_F(PosixFileTest, NamesComeAndGo) {
  ASSERT_TRUE(directory_->open("b", OpenMode::kCreate));
  ASSERT_TRUE(directory_->open("a", OpenMode::kCreate));
  ASSERT_TRUE(directory_->open_directory("sub"));
  EXPECT_THAT(*directory_->list(), testing::ElementsAre("a", "b", "sub"));
  ASSERT_TRUE(directory_->rename("a", "b"));
  EXPECT_EQ(directory_->exists("a"), false);
  EXPECT_EQ(directory_->exists("b"), true);
  ASSERT_TRUE(directory_->remove("b"));
  ASSERT_TRUE(directory_->remove("sub"));
  ASSERT_TRUE(directory_->sync());
  EXPECT_THAT(*directory_->list(), testing::IsEmpty());
}

TEST_F(PosixFileTest, TroubleIsTypedAndNamesTheFile) {
  const auto missing = directory_->open("nothing", OpenMode::kReadWrite);
  EXPECT_EQ(errc_of(missing), Errc::kNotFound);
  EXPECT_THAT(missing.error().message(), testing::HasSubstr(temporary_.path() + "/nothing"));
  EXPECT_THAT(missing.error().message(), testing::HasSubstr("errno 2"));
  EXPECT_EQ(errc_of(directory_->open("nothing", OpenMode::kWriteDirect)), Errc::kNotFound);
  ASSERT_TRUE(directory_->open("a", OpenMode::kCreate));
  EXPECT_EQ(errc_of(directory_->open("a", OpenMode::kCreate)), Errc::kAlreadyExists);
  EXPECT_EQ(errc_of(directory_->remove("nothing")), Errc::kNotFound);
  EXPECT_EQ(errc_of(directory_->rename("nothing", "a")), Errc::kNotFound);
  EXPECT_EQ(errc_of(directory_->open_directory("a")), Errc::kIo);
  for (const std::string_view name :
       {std::string_view(""), std::string_view("."), std::string_view(".."),
        std::string_view("../x"), std::string_view("a/b"), std::string_view("a\0b", 3)}) {
    EXPECT_EQ(errc_of(directory_->open(name, OpenMode::kCreate)), Errc::kInvalidArgument);
    EXPECT_EQ(errc_of(directory_->remove(name)), Errc::kInvalidArgument);
    EXPECT_EQ(errc_of(directory_->open_directory(name)), Errc::kInvalidArgument);
  }
}

TEST_F(PosixFileTest, AFullDeviceIsNoSpace) {
  if (!std::filesystem::exists("/dev/full")) {
    GTEST_SKIP() << "no /dev/full here";
  }
  const auto dev = *open_posix_directory("/dev");
  auto full = dev->open("full", OpenMode::kReadWrite);
  ASSERT_TRUE(full) << full.error().describe();
  const auto written = (*full)->write_at(0, bytes_of("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(errc_of(written), Errc::kNoSpace);
  EXPECT_THAT(written.error().message(), testing::HasSubstr("/dev/full: write at byte 0"));
}

TEST_F(PosixFileTest, OneLockADirectory) {
  auto lock = directory_->lock();
  ASSERT_TRUE(lock) << lock.error().describe();
  const auto other = *open_posix_directory(temporary_.path());
  EXPECT_EQ(errc_of(other->lock()), Errc::kLocked);
  lock->reset();
  EXPECT_TRUE(other->lock());
}

TEST_F(PosixFileTest, MakesMissingDirectories) {
  const std::string deep = temporary_.path() + "/x//y/./z/";
  const auto made = open_posix_directory(deep);
  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_TRUE(std::filesystem::is_directory(temporary_.path() + "/x/y/z"));
  EXPECT_TRUE((*made)->open("f", OpenMode::kCreate));
  EXPECT_TRUE(open_posix_directory(temporary_.path() + "/x/y/../y2"));
  EXPECT_TRUE(std::filesystem::is_directory(temporary_.path() + "/x/y2"));
  ASSERT_TRUE(directory_->open("file", OpenMode::kCreate));
  EXPECT_FALSE(open_posix_directory(temporary_.path() + "/file"));
  EXPECT_FALSE(open_posix_directory(temporary_.path() + "/file/below"));
  EXPECT_EQ(errc_of(open_posix_directory("")), Errc::kInvalidArgument);
  EXPECT_GT(*directory_->free_bytes(), 0U);
}

TEST_F(PosixFileTest, AFileInTheWayIsNamedAsSuch) {
  ASSERT_TRUE(directory_->open("file", OpenMode::kCreate));
  for (const char* const path : {"/file", "/file/below"}) {
    const auto opened = open_posix_directory(temporary_.path() + path);
    EXPECT_EQ(errc_of(opened), Errc::kInvalidArgument);
    EXPECT_THAT(opened.error().message(), testing::HasSubstr("a file is in the way"));
  }
}

TEST_F(PosixFileTest, ARemovedFileIsNotSynced) {
  auto file = directory_->open("a", OpenMode::kCreate);
  ASSERT_TRUE(file && (*file)->write_at(0, bytes_of("x")) && (*file)->sync());
  ASSERT_TRUE(directory_->rename("a", "b"));
  EXPECT_TRUE((*file)->sync());
  ASSERT_TRUE(directory_->remove("b"));
  const auto synced = (*file)->sync();
  EXPECT_EQ(errc_of(synced), Errc::kIo);
  EXPECT_THAT(synced.error().message(), testing::HasSubstr("removed"));
}

TEST_F(PosixFileTest, ADirectoryKnowsWhetherItIsStillAtItsPath) {
  const std::string path = temporary_.path() + "/data";
  const auto data = *open_posix_directory(path);
  const auto below = *data->open_directory("groups");
  const auto lock = *data->lock();
  EXPECT_TRUE(data->check_place() && below->check_place() && lock->check());
  ASSERT_TRUE(data->remove("LOCK"));
  EXPECT_EQ(errc_of(lock->check()), Errc::kNotFound);
  const auto second = *data->lock();
  EXPECT_EQ(errc_of(lock->check()), Errc::kNotFound);
  EXPECT_TRUE(second->check());
  std::filesystem::rename(path, path + "2");
  EXPECT_EQ(errc_of(data->check_place()), Errc::kNotFound);
  EXPECT_EQ(errc_of(below->check_place()), Errc::kNotFound);
  const auto other = *open_posix_directory(path + "/groups");
  EXPECT_EQ(errc_of(below->check_place()), Errc::kNotFound);
  EXPECT_TRUE(other->check_place());
  std::filesystem::remove_all(path + "2");
  EXPECT_EQ(errc_of(data->check_place()), Errc::kNotFound);
}

TEST_F(PosixFileTest, TooManyOpenFilesAreCalledThat) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto opened = directory_->open("a", OpenMode::kCreate);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(errc_of(opened), Errc::kTooManyFiles);
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("1 are allowed; raise LimitNOFILE="));
}

}  // namespace
}  // namespace lignum::storage
