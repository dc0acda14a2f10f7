#include "drivers/daemon/perform.h"
#include "drivers/sandbox/driver.h"

namespace troupe::drivers::sandbox {
namespace {

// 512 or {"value": 512, "best_effort": true}.
template <class T>
requirement<T> read(const json& value) {
  if (!value.is_object()) return {value.get<T>(), false};
  return {value.at("value").get<T>(), value.value("best_effort", false)};
}

template <class T>
void take(const json& from, const char* name, std::optional<requirement<T>>& to) {
  if (from.contains(name) && !from[name].is_null()) to = read<T>(from[name]);
}

egress_rule rule_from(const json& network) {
  egress_rule out;
  const auto& object = network.contains("value") ? network["value"] : network;
  const auto word = object.is_string() ? object.get<std::string>() : object.value("rule", "public");
  out.what = word == "none"    ? egress_rule::kind::nothing
             : word == "allow" ? egress_rule::kind::allow_list
                               : egress_rule::kind::public_addresses;
  if (object.is_object()) out.allow = object.value("allow", std::vector<std::string>{});
  return out;
}

}  // namespace

attempt<sandbox_request> request_from(const json& body, const read_secret& secrets, std::string_view org) {
  sandbox_request out;
  try {
    out.sandbox = text_field(body, "sandbox");
    out.nonce = text_field(body, "nonce");
    out.uid = body.value("uid", 0u);
    out.unsafe_no_isolation = body.value("unsafe_no_isolation", false);
    out.requirements.network.value.what = egress_rule::kind::public_addresses;  // the default of tasks
    if (const auto found = body.find("requirements"); found != body.end() && found->is_object()) {
      auto& r = out.requirements;
      if (found->contains("network")) {
        r.network.value = rule_from((*found)["network"]);
        r.network.best_effort =
            (*found)["network"].is_object() && (*found)["network"].value("best_effort", false);
      }
      take(*found, "memory_mb", r.memory_mb);
      take(*found, "cpu", r.cpu);
      take(*found, "pids", r.pids);
      take(*found, "disk_mb", r.disk_mb);
      take(*found, "private_files", r.private_files);
      take(*found, "pause", r.pause);
    }
    const json environment = body.value("environment", json::object());
    for (const auto& [name, value] : environment.items()) {
      if (value.is_string()) {
        out.environment.emplace_back(name, value.get<std::string>());
        continue;
      }
      const auto secret = text_field(value, "secret");
      const auto text = secrets ? secrets(org, secret) : std::nullopt;
      if (!text)
        return invalid("making sandbox " + out.sandbox + ": its environment variable " + name +
                       " is to be the secret `" + secret +
                       "`, and the organization has none of that name; store it with PUT /v1/secrets");
      out.environment.emplace_back(name, *text);
    }
    for (const auto& item : body.value("mounts", json::array()))
      out.mounts.push_back(
          {text_field(item, "source"), text_field(item, "target"), item.value("read_only", true)});
    for (const auto& item : body.value("forwards", json::array())) {
      const auto to = parse_host_port(text_field(item, "to"));
      const auto port = field(item, "port").get<std::uint16_t>();
      if (!to || port == 0)
        return invalid("making sandbox " + out.sandbox + ": a forward is {port, to: \"host:port\"}");
      out.forwards.emplace_back(port, *to);
    }
  } catch (const json::exception& e) {
    return invalid("making sandbox " + out.sandbox + ": the body does not fit: " + e.what());
  }
  return out;
}

}  // namespace troupe::drivers::sandbox
