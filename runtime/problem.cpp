#include "runtime/problem.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace troupe {

problem bad_request(std::string code, std::string detail) {
  return {400, std::move(code), std::move(detail)};
}
problem forbidden(std::string detail) {
  return {403, "forbidden", std::move(detail)};
}
problem not_found(std::string detail) {
  return {404, "not_found", std::move(detail)};
}
problem conflict(std::string code, std::string detail) {
  return {409, std::move(code), std::move(detail)};
}
problem unprocessable(std::string code, std::string detail) {
  return {422, std::move(code), std::move(detail)};
}
problem too_many(std::string code, std::string detail, int retry_after_seconds) {
  return {429, std::move(code), std::move(detail), {}, retry_after_seconds};
}
problem unavailable(std::string code, std::string detail, int retry_after_seconds) {
  return {503, std::move(code), std::move(detail), {}, retry_after_seconds};
}

const char* title(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Error";
  }
}

void to_json(nlohmann::json& out, const problem& p) {
  out = {{"type", "urn:troupe:problem:" + p.code},
         {"title", title(p.status)},
         {"status", p.status},
         {"code", p.code},
         {"detail", p.detail}};
  if (!p.violations.empty()) {
    auto& list = out["violations"] = nlohmann::json::array();
    for (const auto& v : p.violations) list.push_back({{"pointer", v.pointer}, {"message", v.message}});
  }
  if (p.retry_after_seconds) out["retry_after"] = *p.retry_after_seconds;
}

void from_json(const nlohmann::json& in, problem& p) {
  p.status = in.value("status", 500);
  p.code = in.value("code", "unknown");
  p.detail = in.value("detail", "");
  p.violations.clear();
  for (const auto& v : in.value("violations", nlohmann::json::array())) {
    p.violations.push_back({v.value("pointer", ""), v.value("message", "")});
  }
  p.retry_after_seconds.reset();
  if (in.contains("retry_after")) p.retry_after_seconds = in["retry_after"].get<int>();
}

}  // namespace troupe
