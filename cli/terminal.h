#pragma once

// What logctl writes to: stdout is data, stderr is for people.
//
// Owned by main, passed by reference. Output is gathered and leaves in large writes. Where it
// cannot be written the program ends with kLocal and says so; a reader that went away (EPIPE) ends
// it quietly with kOk, unless the reader is required.

#include <cstdio>
#include <string>
#include <string_view>

namespace lignum::cli {

enum class ColorChoice : unsigned char { kAuto, kAlways, kNever };

class Terminal {
 public:
  explicit Terminal(ColorChoice color);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Colour the data: a terminal that wants it (NO_COLOR, TERM=dumb), or --color always.
  [[nodiscard]] bool color() const { return color_; }
  // Data goes to a person: control characters are made visible.
  [[nodiscard]] bool data_is_tty() const { return data_is_tty_; }
  [[nodiscard]] bool status_is_tty() const { return status_is_tty_; }
  void set_quiet() { quiet_ = true; }
  // From here on a reader that went away is trouble as any other: exit code 0 promises more than
  // that its wishes were met.
  void require_reader() { reader_required_ = true; }

  void data(std::string_view text);
  // True when all data has left.
  bool flush();
  // One line on stderr: what is going on. Silent with --quiet.
  void status(std::string_view text);
  // What is going on just now, on one line of stderr that the next one replaces; only where stderr
  // is a terminal.
  void progress(std::string_view text);
  // "logctl: <text>" on stderr, always.
  void error(std::string_view text);

 private:
  void end_progress();

  bool color_ = false;
  bool data_is_tty_ = false;
  bool status_is_tty_ = false;
  bool quiet_ = false;
  bool reader_required_ = false;
  // A line of progress() stands on the terminal.
  bool in_progress_ = false;
  std::string buffer_;
};

// Control characters and bytes that are not UTF-8 as \xNN; tabs stay.
[[nodiscard]] std::string visible(std::string_view text);
// True for well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace lignum::cli
