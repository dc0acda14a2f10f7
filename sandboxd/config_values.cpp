#include "sandboxd/config_values.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

// Takes over the fields of one object that the contract knows, and remembers the first that is wrong.
class field_copier {
 public:
  field_copier(const json& from, std::string where) : from_(from), where_(std::move(where)) {
    if (!from_.is_object()) fault = where_ + "invalid type, expected a map";
  }

  using test = bool (*)(const json&);

  void optional(const char* name, test fits, const char* expected) { copy(name, fits, expected, false); }
  void required(const char* name, test fits, const char* expected) { copy(name, fits, expected, true); }

  json value = json::object();
  std::string fault;

 private:
  void copy(const char* name, test fits, const char* expected, bool needed) {
    if (!fault.empty()) return;
    auto found = from_.find(name);
    if (found == from_.end() || found->is_null()) {
      if (needed) fault = where_ + "missing field `" + name + "`";
    } else if (!fits(*found)) {
      fault = where_ + name + ": invalid type: " + found->type_name() + ", expected " + expected;
    } else {
      value[name] = *found;
    }
  }

  const json& from_;
  const std::string where_;
};

bool is_text(const json& v) {
  return v.is_string();
}

bool is_flag(const json& v) {
  return v.is_boolean();
}

bool is_count(const json& v) {
  return v.is_number_unsigned();
}

bool is_texts(const json& v) {
  if (!v.is_array()) return false;
  for (auto& item : v)
    if (!item.is_string()) return false;
  return true;
}

// A command line may be given whole.
bool is_command(const json& v) {
  return is_text(v) || is_texts(v);
}

bool is_text_map(const json& v) {
  if (!v.is_object()) return false;
  for (auto& item : v)
    if (!item.is_string()) return false;
  return true;
}

bool is_oauth(const json& v) {
  return v.is_object() || v.is_boolean();
}

bool is_transport(const json& v) {
  return v == "http" || v == "sse";
}

}  // namespace

checked_config check_mcp_server(const json& given) {
  field_copier f(given, "");
  f.required("type", is_text, "a string");
  if (!f.fault.empty()) return {{}, f.fault};
  const auto type = given["type"].get<std::string>();
  if (type == "local" || type == "stdio") {
    f.value["type"] = "local";
    f.required("command", is_command, "a string");
    f.value["args"] = json::array();
    f.optional("args", is_texts, "a sequence of strings");
    f.optional("env", is_text_map, "a map of strings");
    f.optional("cwd", is_text, "a string");
  } else if (type == "remote" || type == "http") {
    f.value["type"] = "remote";
    f.required("url", is_text, "a string");
    f.optional("headers", is_text_map, "a map of strings");
    f.optional("envHeaders", is_text_map, "a map of strings");
    f.optional("bearerTokenEnvVar", is_text, "a string");
    f.optional("oauth", is_oauth, "a map or a boolean");
    f.optional("transport", is_transport, "`http` or `sse`");
  } else {
    return {{}, "type: unknown variant `" + type + "`, expected one of `local`, `stdio`, `http`, `remote`"};
  }
  f.optional("enabled", is_flag, "a boolean");
  f.optional("timeoutMs", is_count, "u64");
  return {std::move(f.value), std::move(f.fault)};
}

checked_config check_skills(const json& given) {
  field_copier whole(given, "");
  whole.required(
      "sources", [](const json& v) { return v.is_array(); }, "a sequence");
  if (!whole.fault.empty()) return {{}, whole.fault};
  json sources = json::array();
  for (auto& source : given["sources"]) {
    field_copier one(source, "sources[" + std::to_string(sources.size()) + "]: ");
    one.required("type", is_text, "a string");
    one.required("source", is_text, "a string");
    one.optional("skills", is_texts, "a sequence of strings");
    one.optional("ref", is_text, "a string");
    one.optional("subpath", is_text, "a string");
    if (!one.fault.empty()) return {{}, one.fault};
    sources.push_back(std::move(one.value));
  }
  json value;
  value["sources"] = std::move(sources);
  return {std::move(value), {}};
}

}  // namespace troupe::sandboxd
