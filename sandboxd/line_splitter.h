// Bytes as they come, cut into lines. Any cut of the same bytes gives the same lines.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::sandboxd {

constexpr std::size_t max_line_bytes = 16 << 20;

// Holds at most one line. Not thread-safe.
class line_splitter {
 public:
  // `whole` is false for a line over the limit: then `line` is its beginning, and the rest was skipped.
  using sink = std::function<void(std::string_view line, bool whole)>;

  explicit line_splitter(std::size_t limit = max_line_bytes) : limit_(limit) {}

  // Lines end with \n; a \r before it is dropped, lines without any other byte are skipped.
  void feed(std::string_view bytes, const sink& give);

  // What follows the last \n, at the end of the input.
  void finish(const sink& give);

 private:
  void add(std::string_view part);
  void emit(const sink& give);

  std::size_t limit_;
  std::string line_;
  bool too_long_ = false;
};

}  // namespace troupe::sandboxd
