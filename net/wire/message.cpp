#include "net/wire/message.h"

#include <algorithm>

#include "net/wire/text.h"

namespace troupe::wire {

std::optional<std::string_view> headers::find(std::string_view name) const {
  for (const auto& [n, v] : fields_)
    if (equal_ignoring_case(n, name)) return v;
  return std::nullopt;
}

bool headers::has_token(std::string_view name, std::string_view token) const {
  for (const auto& [n, v] : fields_) {
    if (!equal_ignoring_case(n, name)) continue;
    for (auto item : split_list(v))
      if (equal_ignoring_case(item, token)) return true;
  }
  return false;
}

void headers::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

void headers::set(std::string name, std::string value) {
  remove(name);
  add(std::move(name), std::move(value));
}

void headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const field& f) { return equal_ignoring_case(f.first, name); });
}

std::string request::host_name() const {
  auto host = headers.find("Host");
  if (!host) return {};
  std::string_view name = trim(*host);
  if (!name.empty() && name.front() == '[') {
    auto end = name.find(']');
    name = end == std::string_view::npos ? name : name.substr(0, end + 1);
  } else {
    name = name.substr(0, name.find(':'));
  }
  return lower(name);
}

std::string_view response::bytes() const {
  if (auto* text = std::get_if<std::string>(&body)) return *text;
  const auto& shared = std::get<shared_bytes>(body);
  return shared ? std::string_view(*shared) : std::string_view();
}

response response::of(int status, std::string_view content_type, std::string bytes) {
  response r;
  r.status = status;
  r.headers.add("Content-Type", std::string(content_type));
  r.body = std::move(bytes);
  return r;
}

response response::json(int status, std::string text) {
  return of(status, "application/json", std::move(text));
}

response response::json(int status, shared_bytes text) {
  response r;
  r.status = status;
  r.headers.add("Content-Type", "application/json");
  r.body = std::move(text);
  return r;
}

response response::text(int status, std::string text) {
  return of(status, "text/plain; charset=utf-8", std::move(text));
}

response response::empty(int status) {
  response r;
  r.status = status;
  return r;
}

response response::with(std::string name, std::string value) && {
  headers.add(std::move(name), std::move(value));
  return std::move(*this);
}

std::string problem::to_json() const {
  std::string out = "{";
  auto member = [&](std::string_view name, std::string_view value) {
    if (out.size() > 1) out += ',';
    out += json_quote(name);
    out += ':';
    out += value;
  };
  member("type", json_quote(type.empty() ? std::string_view("about:blank") : std::string_view(type)));
  member("title", json_quote(title.empty() ? reason_phrase(status) : title));
  member("status", std::to_string(status));
  if (!code.empty()) member("code", json_quote(code));
  if (!detail.empty()) member("detail", json_quote(detail));
  if (!instance.empty()) member("instance", json_quote(instance));
  for (const auto& [name, value] : extensions) member(name, value);
  out += '}';
  return out;
}

response problem::to_response() const {
  return response::of(status, "application/problem+json", to_json());
}

std::string reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status " + std::to_string(status);
  }
}

}  // namespace troupe::wire
