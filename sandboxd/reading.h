// Reading what a request brings, with the contract's words for what is wrong with it.
//
// Each reader remembers the first thing that was wrong in `refusal`; values read after that are defaults. So
// a handler reads everything, then looks once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "net/wire/message.h"

namespace troupe::sandboxd {

class query_reader {
 public:
  explicit query_reader(const wire::request& from) : query_(from.query) {}

  std::string text(const char* name);  // must be there
  std::optional<std::string> optional_text(const char* name) const;
  std::optional<std::uint64_t> number(const char* name);
  bool flag(const char* name);

  std::optional<wire::response> refusal;

 private:
  const wire::query& query_;
};

class body_reader {
 public:
  // Checks the media type and parses.
  explicit body_reader(const wire::request& from);

  // The whole object; empty when it was refused.
  const nlohmann::json& value() const { return value_; }

  std::string text(const char* name);
  std::optional<std::string> optional_text(const char* name);
  std::vector<std::string> optional_texts(const char* name);
  std::vector<std::pair<std::string, std::string>> optional_map(const char* name);
  bool flag(const char* name);
  std::optional<std::uint64_t> optional_number(const char* name);
  std::uint64_t number(const char* name, std::uint64_t max = UINT64_MAX);

  std::optional<wire::response> refusal;

 private:
  const nlohmann::json* find(const char* name, bool required);
  void wrong(const nlohmann::json& value, const char* expected);

  nlohmann::json value_;
};

// Does the media type of `content_type` (parameters allowed) equal `wanted`?
bool is_media_type(std::optional<std::string_view> content_type, std::string_view wanted);

// Does an Accept field allow `type` ("application/json")? An absent one allows everything.
bool accepts(const wire::headers& fields, std::string_view type);

std::string rfc3339(std::int64_t unix_ns);
std::int64_t now_ms();

// Invalid UTF-8 becomes U+FFFD, so that it can stand in JSON.
std::string valid_utf8(std::string_view bytes);

std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

wire::response json_response(const nlohmann::json& value, int status = 200);

}  // namespace troupe::sandboxd
