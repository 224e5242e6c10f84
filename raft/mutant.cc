#include "raft/mutant.h"

#ifdef LIGNUM_MUTANTS

#include <cstdlib>
#include <optional>

#include "raft/check.h"
#include "raft/mutant_list.h"

namespace lignum {

Mutant& selected_mutant() {
  static Mutant selected = [] {
    const char* const name = std::getenv("LIGNUM_MUTANT");  // NOLINT(concurrency-mt-unsafe)
    if (name == nullptr) return Mutant::kNone;
    const std::optional<Mutant> known = find_mutant(name);
    CHECK(known.has_value());
    return *known;
  }();
  return selected;
}

}  // namespace lignum

#endif
