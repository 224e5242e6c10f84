#pragma once

// What append reads: files and standard input, and how to say where in them something is wrong.

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

#include "cli/record_input.h"
#include "raft/error.h"

namespace lignum::cli {

// An open file; standard input, "-", is borrowed. One thread uses it.
class InputFile {
 public:
  explicit InputFile(std::string name) : name_(std::move(name)) {}
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // kIo names the file.
  [[nodiscard]] Result<void> open();
  // What an ItemReader wants of its source.
  [[nodiscard]] Result<std::size_t> read(char* buffer, std::size_t bytes) const;
  [[nodiscard]] bool is_terminal() const;
  // A signal that turns this true ends a read that waits, as if the input were at its end.
  void stop_when(const std::atomic<bool>& interrupted) { interrupted_ = &interrupted; }

 private:
  std::string name_;
  int descriptor_ = -1;
  const std::atomic<bool>* interrupted_ = nullptr;
};

// Where in the input something is wrong. Items count from 1; 0: the file as a whole.
struct InputPlace {
  std::string file;
  std::size_t item = 0;
  InputFormat format = InputFormat::kLines;

  // "events.ndjson: line 3", "standard input: item 7", "events.ndjson".
  [[nodiscard]] std::string describe() const;
  // What appends the rest to `stream`, from that item on: a command for a file; words for standard
  // input, which such a command would wait for.
  [[nodiscard]] std::string how_to_go_on(std::string_view stream) const;
};

}  // namespace lignum::cli
