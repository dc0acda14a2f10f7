// Server-sent events (text/event-stream): written and read, without I/O.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::wire {

struct sse_event {
  std::string id;     // of this event; empty if it has none of its own
  std::string event;  // empty: "message"
  std::string data;   // lines joined with \n
};

// One event as bytes with its closing empty line. `data` may have line ends; ids and names must have none
// (they are cut at the first).
std::string format_event(std::string_view data, std::string_view id = {}, std::string_view event = {});
std::string format_comment(std::string_view text = {});  // what keeps a connection from looking dead

// Incremental: any cut of the bytes gives the same events. CR, LF and CRLF end lines, a BOM is skipped, an
// event without data is dropped, one without its closing empty line at the end is not an event.
class sse_parser {
 public:
  explicit sse_parser(std::size_t max_event_bytes = 32 << 20);

  // Calls `f` for each event that is complete; f returning false stops (the rest of `bytes` is kept for the
  // next feed). False: an event is over the limit; the stream is of no further use.
  bool feed(std::string_view bytes, const std::function<bool(sse_event&&)>& f);

  const std::string& last_event_id() const { return last_id_; }
  std::optional<int> retry_ms() const { return retry_ms_; }

 private:
  bool line_end(const std::function<bool(sse_event&&)>& f);

  std::size_t max_event_bytes_;
  std::string pending_;  // bytes not consumed yet, after a stop
  std::string line_;
  std::string id_, event_, data_;
  std::string last_id_;
  std::optional<int> retry_ms_;
  bool has_data_ = false;
  bool has_id_ = false;
  bool after_cr_ = false;  // an LF that comes now belongs to the line end before it
  bool at_start_ = true;
};

}  // namespace troupe::wire
