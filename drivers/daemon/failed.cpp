#include "drivers/daemon/failed.h"

namespace troupe::drivers {
namespace {

failed make(int status, const char* code, std::string detail, bool again = false) {
  problem p;
  p.status = status;
  p.code = code;
  p.detail = std::move(detail);
  return {std::move(p), again};
}

}  // namespace

failed not_found(std::string detail) {
  return make(404, "not_found", std::move(detail));
}
failed invalid(std::string detail) {
  return make(422, "invalid", std::move(detail));
}
failed transport(std::string detail) {
  return make(502, "transport", std::move(detail), true);
}
failed timed_out(std::string detail) {
  return make(504, "timeout", std::move(detail));
}
failed git_failed(std::string detail, bool again) {
  return make(502, "git_failed", std::move(detail), again);
}
failed agent_failed(std::string detail) {
  return make(502, "agent_failed", std::move(detail));
}
failed agent_error(std::string detail) {
  return make(502, "agent_error", std::move(detail));
}
failed agent_not_installed(std::string detail) {
  return make(424, "agent_not_installed", std::move(detail));
}
failed quota(std::string detail) {
  return make(429, "quota", std::move(detail));
}
failed disk_full(std::string detail) {
  return make(507, "disk_full", std::move(detail));
}
failed git_refused(const char* code, std::string detail) {
  return make(502, code, std::move(detail));
}

failed from_wire(const std::string& what, const wire::failure& why) {
  if (why.kind == wire::fault::timed_out) return timed_out(what + ": " + why.text);
  if (why.kind == wire::fault::too_large) return quota(what + ": " + why.text);
  return transport(what + ": " + why.text);
}

}  // namespace troupe::drivers
