#include "actors/audit_entry.h"

namespace troupe::actors {

void append_audit(turn& t, std::string_view kind, const audit_subject& about, json payload) {
  json entry{
      {"time", t.now_ms()}, {"principal", t.principal()}, {"kind", kind}, {"payload", std::move(payload)}};
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) entry[name] = value;
  };
  put("repository", about.repository);
  put("task", about.task);
  put("branch", about.branch);
  put("session", about.session);
  t.send(key("org/" + std::string(t.self().id_of("org")) + "/audit-log"), "audit.append", std::move(entry));
}

audit_subject subject_of(const key& self) {
  audit_subject about;
  about.task = self.id_of("task");
  about.session = self.id_of("session");
  return about;
}

}  // namespace troupe::actors
