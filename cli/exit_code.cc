#include "cli/exit_code.h"

#include "raft/error.h"

namespace lignum::cli {

ExitCode exit_code(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
    case Errc::kTooLarge:
      return ExitCode::kUsage;
    case Errc::kNotFound:
      return ExitCode::kNotFound;
    case Errc::kPermissionDenied:
      return ExitCode::kPermission;
    case Errc::kNotLeader:
    case Errc::kUnavailable:
    case Errc::kTimeout:
    case Errc::kOverloaded:
    case Errc::kNoSpace:
    case Errc::kShuttingDown:
    case Errc::kUnknownOutcome:
    case Errc::kSkew:
      return ExitCode::kUnavailable;
    case Errc::kAlreadyExists:
    case Errc::kOffsetMismatch:
    case Errc::kOutOfSequence:
    case Errc::kUnknownProducer:
    case Errc::kProducerFenced:
    case Errc::kOffsetOutOfRange:
    case Errc::kTrimmed:
      return ExitCode::kConflict;
    case Errc::kCorrupt:
    case Errc::kIo:
    case Errc::kLocked:
    case Errc::kHalted:
    case Errc::kTooManyFiles:
      return ExitCode::kLocal;
    case Errc::kCancelled:
      return ExitCode::kInterrupted;
    case Errc::kUnsupported:
    case Errc::kProtocol:
    case Errc::kInternal:
      return ExitCode::kFailed;
  }
  return ExitCode::kFailed;
}

}  // namespace lignum::cli
