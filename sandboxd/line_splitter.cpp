#include "sandboxd/line_splitter.h"

namespace troupe::sandboxd {
namespace {

// What is shown of a line that is too long.
constexpr std::size_t kept_of_long_line = 4096;

// A buffer that one large line has grown is given back.
constexpr std::size_t kept_buffer = 256 * 1024;

}  // namespace

void line_splitter::add(std::string_view part) {
  if (too_long_) return;
  if (line_.size() + part.size() > limit_) {
    too_long_ = true;
    line_.append(part.substr(0, limit_ - line_.size()));
    line_.resize(std::min(line_.size(), kept_of_long_line));
    line_.shrink_to_fit();
    return;
  }
  line_.append(part);
}

void line_splitter::emit(const sink& give) {
  if (!too_long_ && !line_.empty() && line_.back() == '\r') line_.pop_back();
  if (!line_.empty()) give(line_, !too_long_);
  too_long_ = false;
  line_.clear();
  if (line_.capacity() > kept_buffer) line_.shrink_to_fit();
}

void line_splitter::feed(std::string_view bytes, const sink& give) {
  while (!bytes.empty()) {
    auto end = bytes.find('\n');
    if (end == std::string_view::npos) return add(bytes);
    add(bytes.substr(0, end));
    emit(give);
    bytes.remove_prefix(end + 1);
  }
}

void line_splitter::finish(const sink& give) {
  emit(give);
}

}  // namespace troupe::sandboxd
