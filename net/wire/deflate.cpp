#include "net/wire/deflate.h"

#include <zlib.h>

#include <new>

namespace troupe::wire {

namespace {

constexpr int largest_window = 15, memory_level = 8;

std::string deflated(std::string_view bytes, int level, int window, int end) {
  z_stream z{};
  if (::deflateInit2(&z, level, Z_DEFLATED, window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  // The bound is that of Z_FINISH; a flush adds five bytes.
  std::string out(::deflateBound(&z, bytes.size()) + 16, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  ::deflate(&z, end);
  out.resize(z.total_out);
  ::deflateEnd(&z);
  return out;
}

}  // namespace

std::string gzip(std::string_view bytes, int level) {
  return deflated(bytes, level, largest_window + 16, Z_FINISH);
}

std::string deflate_message(std::string_view bytes) {
  auto out = deflated(bytes, Z_BEST_SPEED, -largest_window, Z_SYNC_FLUSH);
  out.resize(out.size() - 4);  // 00 00 FF FF, which the reader puts back
  return out;
}

}  // namespace troupe::wire
