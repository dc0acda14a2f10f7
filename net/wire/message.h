// HTTP requests and responses as plain values. Nothing here does I/O; any thread may use its own copy.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::wire {

// Header fields in the order they came; names compare without case. Fields of one name may repeat.
class headers {
 public:
  using field = std::pair<std::string, std::string>;

  headers() = default;
  headers(std::initializer_list<field> fields) : fields_(fields) {}

  // The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name).has_value(); }
  // True if the comma-separated list in any field of that name has the token, without case ("Connection:
  // upgrade").
  bool has_token(std::string_view name, std::string_view token) const;

  void add(std::string name, std::string value);
  // Replaces every field of that name.
  void set(std::string name, std::string value);
  void remove(std::string_view name);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::vector<field> fields_;
};

// A typed look-up in a query string. Absent: no value, no error. Not of the type or out of range: an error in
// words.
template <class T>
struct lookup {
  std::optional<T> value;
  std::string error;

  explicit operator bool() const { return error.empty(); }
  T value_or(T otherwise) const { return value.value_or(std::move(otherwise)); }
};

// The decoded parameters after `?`; `+` and `%20` are spaces. The first of a repeated name wins in look-ups.
class query {
 public:
  query() = default;

  // Nothing when an escape is broken or a name or value holds a NUL.
  static std::optional<query> parse(std::string_view encoded);

  const std::string* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string text(std::string_view name, std::string_view otherwise = {}) const;
  lookup<std::int64_t> integer(std::string_view name, std::int64_t min = INT64_MIN,
                               std::int64_t max = INT64_MAX) const;
  // `true`, `1` or nothing after the name; `false`, `0`.
  lookup<bool> boolean(std::string_view name) const;

  const std::vector<std::pair<std::string, std::string>>& all() const { return params_; }
  void add(std::string name, std::string value) { params_.emplace_back(std::move(name), std::move(value)); }
  // "a=1&b=x%20y", without `?`.
  std::string encode() const;

 private:
  std::vector<std::pair<std::string, std::string>> params_;
};

// Who is at the other end. uid, gid and pid come from the kernel (SO_PEERCRED) and are set on unix sockets
// only.
struct peer {
  std::string address;  // "127.0.0.1:40112", "[::1]:40112" or "unix"
  bool loopback = false;
  bool unix_socket = false;
  bool secure = false;  // over TLS
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<std::int32_t> pid;
};

struct request {
  std::string method = "GET";
  std::string target = "/";  // as on the wire: encoded path and query
  std::string path;          // percent-decoded; filled by the server, ignored by the client
  wire::query query;         // filled by the server, ignored by the client
  wire::headers headers;
  std::string body;  // empty while the body is streamed
  wire::peer peer;   // filled by the server

  // "example.org" of "Host: Example.org:80", lower case, IPv6 with its brackets. Empty if there is none.
  std::string host_name() const;
};

// Bytes that many connections may send at once.
using shared_bytes = std::shared_ptr<const std::string>;

struct response {
  int status = 200;
  wire::headers headers;
  std::variant<std::string, shared_bytes> body;

  std::string_view bytes() const;

  static response json(int status, std::string text);
  static response json(int status, shared_bytes text);
  static response text(int status, std::string text);  // text/plain; charset=utf-8
  static response empty(int status);
  static response of(int status, std::string_view content_type, std::string bytes);

  response with(std::string name, std::string value) &&;
};

// RFC 9457. Members that are empty are left out; `type` defaults to about:blank.
struct problem {
  int status = 500;
  std::string code;      // stable, snake_case
  std::string title;     // empty: the status's own words
  std::string detail;    // what was tried, why it failed, what to do
  std::string instance;  // the thing it is about
  std::string type;
  // Further members: name and value, the value being JSON text.
  std::vector<std::pair<std::string, std::string>> extensions = {};

  std::string to_json() const;
  response to_response() const;  // application/problem+json
};

// "Not Found" of 404; "Status 799" of what has no name.
std::string reason_phrase(int status);

// Percent-decoding of one path segment or a whole path. Nothing for broken escapes and for NUL.
std::optional<std::string> percent_decode(std::string_view text);
// Leaves unreserved characters; `keep_slashes` leaves `/` too.
std::string percent_encode(std::string_view text, bool keep_slashes = false);

// A JSON string literal with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

bool equal_ignoring_case(std::string_view a, std::string_view b);
// Compares secrets in a time that depends on the length of `given` alone.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

}  // namespace troupe::wire
