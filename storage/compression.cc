#include "storage/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zconf.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"

namespace lignum {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"none", "gzip", "snappy", "lz4", "zstd"};

// 16 + 15: a gzip header around a 32 KiB window.
constexpr int kGzipWindowBits = 31;
// A frame may ask for a window; beyond 16 MiB no batch of ours can need one.
constexpr int kZstdWindowLogMax = 24;

using Output = std::vector<std::byte>;

std::unexpected<Error> damaged(Codec codec, std::string_view what) {
  return fail(Errc::kCorrupt, std::string(codec_name(codec)) + " records: " + std::string(what));
}

// Memory for a stream of unknown length: grows by doubling, never past the cap plus the one byte
// that tells "too much" from "exactly full".
class BoundedOutput {
 public:
  BoundedOutput(std::size_t compressed, std::size_t bytes_max) : bytes_max_(bytes_max) {
    bytes_.resize(std::min(bytes_max_ + 1, std::max<std::size_t>(4 * compressed, 4096)));
  }
  // Room to write to; not empty, unless the cap is passed.
  std::span<std::byte> room() {
    if (used_ == bytes_.size()) {
      bytes_.resize(std::min(bytes_max_ + 1, 2 * bytes_.size()));
    }
    return std::span(bytes_).subspan(used_);
  }
  void take(std::size_t count) { used_ += count; }
  [[nodiscard]] bool too_large() const { return used_ > bytes_max_; }
  Output finish() {
    bytes_.resize(used_);
    return std::move(bytes_);
  }
  [[nodiscard]] std::unexpected<Error> refuse(Codec codec) const {
    return fail(Errc::kTooLarge, std::string(codec_name(codec)) +
                                     " records decompress to more than " +
                                     std::to_string(bytes_max_) + " bytes");
  }

 private:
  Output bytes_;
  std::size_t used_ = 0;
  std::size_t bytes_max_;
};

Bytef* zlib_bytes(const std::byte* bytes) {
  // zlib's next_in is not const, but is only read.
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes));  // NOLINT
}

Result<Output> gzip(Bytes bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindowBits, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Errc::kInternal, "zlib: deflateInit2 failed");
  }
  Output output(deflateBound(&stream, bytes.size()));
  stream.next_in = zlib_bytes(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = zlib_bytes(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  const int result = deflate(&stream, Z_FINISH);
  output.resize(output.size() - stream.avail_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) {
    return fail(Errc::kInternal, "zlib: deflate failed");
  }
  return output;
}

Result<Output> gunzip(Bytes bytes, std::size_t bytes_max) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) {
    return fail(Errc::kInternal, "zlib: inflateInit2 failed");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  BoundedOutput output(bytes.size(), bytes_max);
  stream.next_in = zlib_bytes(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  int result = Z_OK;
  while (result == Z_OK) {
    const auto room = output.room();
    stream.next_out = zlib_bytes(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    result = inflate(&stream, Z_NO_FLUSH);
    output.take(room.size() - stream.avail_out);
    if (output.too_large()) {
      return output.refuse(Codec::kGzip);
    }
  }
  if (result != Z_STREAM_END || stream.avail_in != 0) {
    return damaged(Codec::kGzip, stream.msg != nullptr ? stream.msg : "the stream does not end");
  }
  return output.finish();
}

Result<Output> snap(Bytes bytes) {
  Output output(snappy::MaxCompressedLength(bytes.size()));
  std::size_t length = 0;
  snappy::RawCompress(reinterpret_cast<const char*>(bytes.data()), bytes.size(),
                      reinterpret_cast<char*>(output.data()), &length);
  output.resize(length);
  return output;
}

Result<void> unsnap_block(Bytes block, std::size_t bytes_max, Output& output) {
  const auto* data = reinterpret_cast<const char*>(block.data());
  std::size_t length = 0;
  if (!snappy::GetUncompressedLength(data, block.size(), &length)) {
    return damaged(Codec::kSnappy, "bad length of a block");
  }
  if (length > bytes_max - output.size()) {
    return BoundedOutput(0, bytes_max).refuse(Codec::kSnappy);
  }
  // Verified first: a lying length costs no memory.
  if (!snappy::IsValidCompressedBuffer(data, block.size())) {
    return damaged(Codec::kSnappy, "bad block");
  }
  const std::size_t start = output.size();
  output.resize(start + length);
  if (!snappy::RawUncompress(data, block.size(), reinterpret_cast<char*>(output.data() + start))) {
    return damaged(Codec::kSnappy, "bad block");
  }
  return {};
}

// snappy-java's SnappyOutputStream: magic, version, oldest compatible version, then blocks.
constexpr std::array<std::uint8_t, 8> kJavaMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kJavaHeaderBytes = 16;

Result<Output> unsnap(Bytes bytes, std::size_t bytes_max) {
  Output output;
  const bool framed =
      bytes.size() >= kJavaHeaderBytes &&
      std::equal(kJavaMagic.begin(), kJavaMagic.end(), bytes.begin(),
                 [](std::uint8_t magic, std::byte byte) { return std::byte{magic} == byte; });
  if (!framed) {
    TRY(unsnap_block(bytes, bytes_max, output));
    return output;
  }
  ByteCursor cursor(bytes.subspan(kJavaHeaderBytes));
  while (!cursor.at_end()) {
    const auto length = cursor.read_be<std::uint32_t>();
    const auto block = length ? cursor.read_bytes(*length) : std::nullopt;
    if (!block) {
      return damaged(Codec::kSnappy, "a block passes the end");
    }
    TRY(unsnap_block(*block, bytes_max, output));
  }
  return output;
}

Result<Output> lz4(Bytes bytes) {
  Output output(LZ4F_compressFrameBound(bytes.size(), nullptr));
  const std::size_t length =
      LZ4F_compressFrame(output.data(), output.size(), bytes.data(), bytes.size(), nullptr);
  if (LZ4F_isError(length) != 0U) {
    return fail(Errc::kInternal, std::string("lz4: ") + LZ4F_getErrorName(length));
  }
  output.resize(length);
  return output;
}

Result<Output> unlz4(Bytes bytes, std::size_t bytes_max) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION)) != 0U) {
    return fail(Errc::kInternal, "lz4: no decompression context");
  }
  const std::unique_ptr<LZ4F_dctx, LZ4F_errorCode_t (*)(LZ4F_dctx*)> context(
      raw, LZ4F_freeDecompressionContext);
  BoundedOutput output(bytes.size(), bytes_max);
  for (;;) {
    const auto room = output.room();
    std::size_t produced = room.size();
    std::size_t consumed = bytes.size();
    const std::size_t hint =
        LZ4F_decompress(context.get(), room.data(), &produced, bytes.data(), &consumed, nullptr);
    if (LZ4F_isError(hint) != 0U) {
      return damaged(Codec::kLz4, LZ4F_getErrorName(hint));
    }
    output.take(produced);
    bytes = bytes.subspan(consumed);
    if (output.too_large()) {
      return output.refuse(Codec::kLz4);
    }
    if (hint == 0 && bytes.empty()) {
      return output.finish();
    }
    if (hint == 0 || (produced == 0 && consumed == 0)) {
      return damaged(Codec::kLz4, "not exactly one frame");
    }
  }
}

Result<Output> zstd(Bytes bytes) {
  Output output(ZSTD_compressBound(bytes.size()));
  const std::size_t length =
      ZSTD_compress(output.data(), output.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(length) != 0U) {
    return fail(Errc::kInternal, std::string("zstd: ") + ZSTD_getErrorName(length));
  }
  output.resize(length);
  return output;
}

Result<Output> unzstd(Bytes bytes, std::size_t bytes_max) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        ZSTD_freeDCtx);
  if (!context || ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax,
                                                      kZstdWindowLogMax)) != 0U) {
    return fail(Errc::kInternal, "zstd: no decompression context");
  }
  BoundedOutput output(bytes.size(), bytes_max);
  ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
  for (;;) {
    const auto room = output.room();
    ZSTD_outBuffer out{.dst = room.data(), .size = room.size(), .pos = 0};
    const std::size_t before = in.pos;
    const std::size_t hint = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(hint) != 0U) {
      return damaged(Codec::kZstd, ZSTD_getErrorName(hint));
    }
    output.take(out.pos);
    if (output.too_large()) {
      return output.refuse(Codec::kZstd);
    }
    if (hint == 0 && in.pos == in.size) {
      return output.finish();
    }
    if (hint == 0 || (out.pos == 0 && in.pos == before)) {
      return damaged(Codec::kZstd, "not exactly one frame");
    }
  }
}

}  // namespace

std::string_view codec_name(Codec codec) { return kNames.at(static_cast<std::size_t>(codec)); }

std::optional<Codec> codec_from_name(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    return std::nullopt;
  }
  return static_cast<Codec>(found - kNames.begin());
}

Result<std::vector<std::byte>> compress(Codec codec, Bytes bytes) {
  switch (codec) {
    case Codec::kNone:
      return Output(bytes.begin(), bytes.end());
    case Codec::kGzip:
      return gzip(bytes);
    case Codec::kSnappy:
      return snap(bytes);
    case Codec::kLz4:
      return lz4(bytes);
    case Codec::kZstd:
      return zstd(bytes);
  }
  return fail(Errc::kInternal, "unknown codec");
}

Result<std::vector<std::byte>> decompress(Codec codec, Bytes bytes, std::size_t bytes_max) {
  switch (codec) {
    case Codec::kNone:
      if (bytes.size() > bytes_max) {
        return BoundedOutput(0, bytes_max).refuse(codec);
      }
      return Output(bytes.begin(), bytes.end());
    case Codec::kGzip:
      return gunzip(bytes, bytes_max);
    case Codec::kSnappy:
      return unsnap(bytes, bytes_max);
    case Codec::kLz4:
      return unlz4(bytes, bytes_max);
    case Codec::kZstd:
      return unzstd(bytes, bytes_max);
  }
  return fail(Errc::kInternal, "unknown codec");
}

}  // namespace lignum
