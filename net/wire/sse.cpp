#include "net/wire/sse.h"

#include "net/wire/text.h"

namespace troupe::wire {

namespace {

void add_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value.substr(0, value.find_first_of("\r\n"));
  out += '\n';
}

}  // namespace

std::string format_event(std::string_view data, std::string_view id, std::string_view event) {
  std::string out;
  out.reserve(data.size() + id.size() + event.size() + 32);
  if (!id.empty()) add_field(out, "id", id);
  if (!event.empty()) add_field(out, "event", event);
  for (;;) {
    auto end = data.find_first_of("\r\n");
    add_field(out, "data", data.substr(0, end));
    if (end == std::string_view::npos) break;
    bool crlf = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
    data.remove_prefix(end + (crlf ? 2 : 1));
  }
  out += '\n';
  return out;
}

std::string format_comment(std::string_view text) {
  std::string out = ":";
  out += text.substr(0, text.find_first_of("\r\n"));
  out += "\n\n";
  return out;
}

sse_parser::sse_parser(std::size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

bool sse_parser::feed(std::string_view bytes, const std::function<bool(sse_event&&)>& f) {
  std::string joined;
  if (!pending_.empty()) {
    joined = std::move(pending_);
    pending_.clear();
    joined += bytes;
    bytes = joined;
  }
  while (!bytes.empty()) {
    if (after_cr_ && bytes.front() == '\n') {
      after_cr_ = false;
      bytes.remove_prefix(1);
      continue;
    }
    after_cr_ = false;
    auto end = bytes.find_first_of("\r\n");
    auto part = bytes.substr(0, end);
    if (line_.size() + part.size() + data_.size() > max_event_bytes_) return false;
    line_ += part;
    if (end == std::string_view::npos) return true;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (!line_end(f)) {
      pending_ = bytes;
      return true;
    }
  }
  return true;
}

bool sse_parser::line_end(const std::function<bool(sse_event&&)>& f) {
  std::string line = std::move(line_);
  line_.clear();
  if (at_start_) {
    at_start_ = false;
    if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  }
  if (line.empty()) {
    // The id counts from the end of its event on, whether or not the event has data.
    if (has_id_) last_id_ = id_;
    bool complete = has_data_;
    sse_event event{has_id_ ? id_ : std::string(), std::move(event_), std::move(data_)};
    event_.clear();
    data_.clear();
    id_.clear();
    has_data_ = has_id_ = false;
    if (!complete) return true;
    event.data.pop_back();
    return f(std::move(event));
  }
  auto colon = line.find(':');
  if (colon == 0) return true;
  std::string_view name = std::string_view(line).substr(0, colon);
  std::string_view value =
      colon == std::string::npos ? std::string_view() : std::string_view(line).substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    has_data_ = true;
    data_ += value;
    data_ += '\n';
  } else if (name == "event") {
    event_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) {
      id_ = value;
      has_id_ = true;
    }
  } else if (name == "retry") {
    auto number = parse_integer(value);
    if (number && *number >= 0 && *number <= 3'600'000) retry_ms_ = static_cast<int>(*number);
  }
  return true;
}

}  // namespace troupe::wire
