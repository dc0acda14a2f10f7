#include "actors/audit_log/auditor.h"

#include "actors/access/secret.h"
#include "actors/body.h"
#include "actors/text.h"

namespace troupe::actors {
namespace {

constexpr std::size_t max_text = 200;
constexpr std::size_t max_items = 20;
constexpr std::size_t max_members = 50;
constexpr int max_depth = 4;

// Texts of environments may be secrets that somebody put where a name of a secret belongs.
bool names_only(std::string_view member) {
  return member == "environment";
}
bool never(std::string_view member) {
  return member == "hash" || member == "link" || member == "password" || member == "authorization";
}

// The hash of a secret is shown as the id that stands for it (access/secret.h).
bool is_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

json reduce(const json& value, int depth) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return is_hash(text) ? id_of_hash(text) : clip(text, max_text);
  }
  if (value.is_array()) {
    if (depth == 0) return "[" + std::to_string(value.size()) + "]";
    auto out = json::array();
    for (const auto& item : value) {
      if (out.size() == max_items) {
        out.push_back("… " + std::to_string(value.size() - max_items) + " more");
        break;
      }
      out.push_back(reduce(item, depth - 1));
    }
    return out;
  }
  if (value.is_object()) {
    if (depth == 0) return "{" + std::to_string(value.size()) + "}";
    auto out = json::object();
    for (const auto& [name, member] : value.items()) {
      if (out.size() == max_members) break;
      if (never(name)) continue;
      if (names_only(name) && member.is_object()) {
        auto names = json::array();
        for (const auto& [variable, text] : member.items()) {
          if (names.size() < max_items) names.push_back(variable);
        }
        out[name] = std::move(names);
      } else {
        out[name] = reduce(member, depth - 1);
      }
    }
    return out;
  }
  return value;
}

// The first of body, result and key that names it.
json named(const char* name, std::size_t longest, const json& body, const json& result,
           std::string_view in_key) {
  for (const auto* from : {&body, &result}) {
    if (!from->is_object()) continue;
    auto text = text_of(*from, name);
    // A task is told of its repository as an object.
    if (!text && from->contains(name)) text = text_of(from->at(name), "name");
    if (text && !text->empty() && text->size() <= longest) return *text;
  }
  return in_key.empty() ? json(nullptr) : json(in_key);
}

void add(turn& t, std::string_view kind, const json& about, const json& also, json payload) {
  const auto& self = t.self();
  json entry{{"time", t.now_ms()},
             {"principal", clip(t.principal(), 128)},
             {"kind", kind},
             {"payload", std::move(payload)}};
  const auto organization = self.up_to("org");
  if (!organization) {
    entry["actor"] = self.str();
    t.append("audit", entry);
    return;
  }
  entry["repository"] = named("repository", 64, about, also, {});
  entry["task"] = named("task", 64, about, also, self.id_of("task"));
  entry["branch"] = named("branch", 200, about, also, {});
  entry["session"] = named("session", 64, about, also, self.id_of("session"));
  t.send(organization->child("audit-log"), "audit.append", std::move(entry));
}

}  // namespace

json audit_payload(const json& body) {
  return body.is_object() ? reduce(body, max_depth) : json::object();
}

auditor make_auditor() {
  return [](turn& t, const command_row& row, const json& body, const json& result) {
    auto payload = audit_payload(body);
    // What the command made (ids, names) is in its result alone.
    if (result.is_object() && !result.empty()) payload["result"] = audit_payload(result);
    add(t, row.audit, body, result, std::move(payload));
  };
}

}  // namespace troupe::actors
