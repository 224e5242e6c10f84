#pragma once

// The streams a benchmark appends to: one given by name, or new ones with one shard each, in as
// many different groups as asked for. What it made itself it deletes.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

class BenchStreams {
 public:
  // Where a stream lands is the ring's business: this many are tried for each group.
  static constexpr std::size_t kTriesPerGroup = 64;

  // The stream of that name, made with one shard where it does not exist; it is kept.
  [[nodiscard]] static Result<BenchStreams> named(Client& client, const std::string& name);
  // PREFIX-0, PREFIX-1 ... in `groups` different groups. kInvalidArgument where the node has fewer
  // data groups.
  [[nodiscard]] static Result<BenchStreams> pinned(Client& client, std::string_view prefix,
                                                   std::size_t groups);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // Deletes what pinned() made. The first error is returned, the others are tried all the same.
  [[nodiscard]] Result<void> remove(Client& client);

 private:
  std::vector<std::string> names_;
  std::vector<std::string> made_;
};

}  // namespace lignum::cli
