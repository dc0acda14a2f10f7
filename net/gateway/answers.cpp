#include "net/gateway/answers.h"

#include <charconv>

#include "net/wire/text.h"

namespace troupe::gateway {

json shown(const problem& why, std::string_view instance) {
  json out = why;
  if (!instance.empty()) out["instance"] = std::string(instance);
  return out;
}

std::string encode(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

wire::response refusal(const problem& why, std::string_view instance) {
  auto answer = wire::response::of(why.status, "application/problem+json", encode(shown(why, instance)));
  if (why.retry_after_seconds) answer.headers.add("Retry-After", std::to_string(*why.retry_after_seconds));
  if (why.status == 401) answer.headers.add("WWW-Authenticate", "Bearer");
  answer.headers.add("Cache-Control", "no-store");
  return answer;
}

wire::response json_answer(int status, const json& value) {
  auto answer = wire::response::json(status, encode(value));
  answer.headers.add("Cache-Control", "no-store");
  return answer;
}

std::variant<json, problem> parse_json(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_json_depth)
        return bad_request("not_json",
                           "the JSON nests deeper than " + std::to_string(max_json_depth) + " levels");
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  auto parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return bad_request("not_json", "this is not valid JSON");
  return parsed;
}

std::variant<json, problem> body_of(const wire::request& r) {
  if (r.body.empty()) return json::object();
  auto type = r.headers.find("Content-Type");
  auto media = type ? wire::trim(type->substr(0, type->find(';'))) : std::string_view();
  if (!wire::equal_ignoring_case(media, "application/json"))
    return problem{415, "unsupported_media_type",
                   "the body must be JSON: say Content-Type: application/json"};
  return parse_json(r.body);
}

std::variant<key, problem> key_of(std::string_view text) {
  auto parsed = key::parse(text);
  if (parsed) return *parsed;
  return bad_request("bad_key",
                     "'" + std::string(wire::cut_utf8(text, 100)) +
                         "' is not a key: kinds and ids alternate, an id has 1 to 64 of A-Z a-z 0-9 . _ -");
}

problem hidden(const key& k) {
  return not_found("there is no actor " + k.str());
}

problem unauthorized() {
  return {401, "unauthorized",
          "a token is needed (Authorization: Bearer …), or the cookie of a browser that is signed in; this "
          "one is "
          "missing, unknown or no longer valid"};
}

problem too_many_attempts(std::chrono::seconds left) {
  return too_many("too_many_attempts",
                  "this address has given too many tokens, cookies or sign-in links that are none: wait " +
                      std::to_string(left.count()) + " s",
                  static_cast<int>(left.count()));
}

std::string etag_of(const revision_id& at) {
  return '"' + at.incarnation + '.' + std::to_string(at.revision) + '"';
}

std::optional<revision_id> revision_of_etag(std::string_view text) {
  text = wire::trim(text);
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  auto dot = text.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  auto number = wire::parse_integer(text.substr(dot + 1));
  if (!number || *number < 0) return std::nullopt;
  return revision_id{std::string(text.substr(0, dot)), static_cast<std::uint64_t>(*number)};
}

std::string page_members(const stream_page& page) {
  std::string out =
      "\"incarnation\":" + wire::json_quote(page.incarnation) + ",\"after\":" + std::to_string(page.after) +
      ",\"first\":" + std::to_string(page.first) +
      ",\"last\":" + std::to_string(page.entries.empty() ? page.after : page.entries.back().seq) +
      ",\"end\":" + std::to_string(page.end) + ",\"entries\":[";
  bool more = false;
  for (const auto& one : page.entries) {
    if (more) out += ',';
    more = true;
    out += "{\"seq\":" + std::to_string(one.seq) + ",\"time\":" + std::to_string(to_ms(one.time)) +
           ",\"turn\":" + std::to_string(one.turn) + ",\"data\":";
    out += *one.data;
    out += '}';
  }
  out += ']';
  return out;
}

}  // namespace troupe::gateway
