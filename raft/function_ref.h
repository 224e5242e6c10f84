#pragma once

// A borrowed callable: two pointers, no allocation. For parameters only: it must not outlive the
// call it is passed to.

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace lignum {

template <class Signature>
class FunctionRef;

template <class R, class... Arguments>
class FunctionRef<R(Arguments...)> {
 public:
  // Implicit, so that a lambda can be written where it is passed.
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, FunctionRef> &&
             std::is_object_v<std::remove_reference_t<F>> &&
             std::is_invocable_r_v<R, F&, Arguments...>)
  // NOLINTNEXTLINE(google-explicit-constructor,bugprone-forwarding-reference-overload)
  FunctionRef(F&& callable)
      : callable_(std::addressof(callable)), call_([](const void* target, Arguments... arguments) {
          // Const was added above only to hold either kind.
          auto* typed = static_cast<std::remove_reference_t<F>*>(const_cast<void*>(target));
          return static_cast<R>(std::invoke(*typed, std::forward<Arguments>(arguments)...));
        }) {}

  R operator()(Arguments... arguments) const {
    return call_(callable_, std::forward<Arguments>(arguments)...);
  }

 private:
  const void* callable_;
  R (*call_)(const void*, Arguments...);
};

}  // namespace lignum
