#pragma once

// Who writes what a process says right before it ends (check.h).

#include <string_view>

namespace lignum {

// Writes `text`, whole lines, for whoever watches the process, and comes back soon even where
// nobody reads it: the process ends only then. From any thread.
using LastWordsWriter = void (*)(std::string_view text);

// Until this is called stderr is written to, for as long as that takes: right for a tool that
// somebody looks at. A server says here how it does it better.
void set_last_words_writer(LastWordsWriter writer);

void say_last_words(std::string_view text);

}  // namespace lignum
