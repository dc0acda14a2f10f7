#include "sandboxd/isolation/spec.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

// Ends in spec_from_json, as its message.
struct not_a_spec : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const json& need(const json& object, const std::string& at, const char* name) {
  auto found = object.find(name);
  if (found == object.end()) throw not_a_spec(at + "/" + name + ": is missing");
  return *found;
}

std::string text(const json& object, const std::string& at, const char* name) {
  const auto& value = need(object, at, name);
  if (!value.is_string()) throw not_a_spec(at + "/" + name + ": must be a string");
  auto result = value.get<std::string>();
  if (result.find('\0') != std::string::npos) throw not_a_spec(at + "/" + name + ": must not hold a NUL");
  return result;
}

std::string absolute(const json& object, const std::string& at, const char* name) {
  auto result = text(object, at, name);
  const std::filesystem::path path = result;
  bool climbs = false;
  for (const auto& part : path) climbs = climbs || part == "..";
  if (!path.is_absolute() || climbs)
    throw not_a_spec(at + "/" + name + ": must be an absolute path without ..");
  return result;
}

std::uint64_t number(const json& object, const std::string& at, const char* name, std::uint64_t most,
                     std::optional<std::uint64_t> otherwise = {}) {
  if (otherwise && !object.contains(name)) return *otherwise;
  const auto& value = need(object, at, name);
  const bool whole =
      value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
  if (!whole || value.get<std::uint64_t>() > most)
    throw not_a_spec(at + "/" + name + ": must be a whole number from 0 to " + std::to_string(most));
  return value.get<std::uint64_t>();
}

bool flag(const json& object, const std::string& at, const char* name) {
  if (!object.contains(name)) return false;
  if (!object[name].is_boolean()) throw not_a_spec(at + "/" + name + ": must be true or false");
  return object[name].get<bool>();
}

const json& list(const json& object, const char* name) {
  static const json empty = json::array();
  if (!object.contains(name)) return empty;
  if (!object[name].is_array()) throw not_a_spec(std::string("/") + name + ": must be a list");
  return object[name];
}

bool is_nonce(const std::string& value) {
  if (value.size() < 16 || value.size() > 64) return false;
  for (char c : value)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) return false;
  return true;
}

sandbox_spec parse(const json& in) {
  if (!in.is_object()) throw not_a_spec("/: must be an object");
  sandbox_spec spec;
  spec.key = text(in, "", "key");
  spec.nonce = text(in, "", "nonce");
  if (!is_nonce(spec.nonce)) throw not_a_spec("/nonce: must be 16 to 64 of [a-z0-9]");
  spec.folder = absolute(in, "", "folder");
  spec.socket = absolute(in, "", "socket");
  if (spec.socket.native().size() > socket_path_bytes)
    throw not_a_spec("/socket: unix socket paths have at most 107 bytes; choose a shorter socket folder");
  const auto level = tier_from_text(text(in, "", "tier"));
  if (!level) throw not_a_spec("/tier: must be none, landlock, namespaces or namespaces+uid");
  spec.level = *level;
  spec.uid = static_cast<std::uint32_t>(number(in, "", "uid", UINT32_MAX - 1, 0));
  spec.gid = static_cast<std::uint32_t>(number(in, "", "gid", UINT32_MAX - 1, spec.uid));
  if (spec.level == tier::namespaces_and_uid && (spec.uid == 0 || spec.gid == 0))
    throw not_a_spec("/uid: the tier namespaces+uid needs a uid and a gid that are not 0");

  if (in.contains("network")) {
    const auto& net = in["network"];
    if (!net.is_object()) throw not_a_spec("/network: must be an object");
    const auto mode = text(net, "/network", "mode");
    if (mode != "none" && mode != "proxy") throw not_a_spec("/network/mode: must be none or proxy");
    spec.network = mode == "proxy" ? network_mode::proxy : network_mode::none;
    spec.proxy_port = static_cast<std::uint16_t>(number(net, "/network", "port", 65535, 3128));
    for (const auto& item : list(net, "forwards")) {
      const std::string at = "/network/forwards";
      forward_spec forward{static_cast<std::uint16_t>(number(item, at, "port", 65535)),
                           text(item, at, "socket")};
      if (forward.port == 0 || forward.socket.empty() || forward.socket.find('/') != std::string::npos)
        throw not_a_spec(at + ": each needs a port from 1 and a socket name without a slash");
      spec.forwards.push_back(std::move(forward));
    }
  }
  if (in.contains("limits")) {
    const auto& limits = in["limits"];
    if (!limits.is_object()) throw not_a_spec("/limits: must be an object");
    spec.limits.memory_bytes = number(limits, "/limits", "memory", UINT64_MAX, 0);
    spec.limits.disk_bytes = number(limits, "/limits", "disk", UINT64_MAX, 0);
    spec.limits.pids = static_cast<std::uint32_t>(number(limits, "/limits", "pids", 1 << 22, 0));
    if (limits.contains("cpus")) {
      if (!limits["cpus"].is_number()) throw not_a_spec("/limits/cpus: must be a number");
      spec.limits.cpus = limits["cpus"].get<double>();
      if (!std::isfinite(spec.limits.cpus) || spec.limits.cpus < 0)
        throw not_a_spec("/limits/cpus: must be 0 or more");
    }
  }
  spec.allow_ptrace = flag(in, "", "allow_ptrace");
  for (const auto& item : list(in, "mounts"))
    spec.mounts.push_back({absolute(item, "/mounts", "from"), absolute(item, "/mounts", "to"),
                           flag(item, "/mounts", "writable")});
  for (const auto& item : list(in, "programs")) {
    auto name = text(item, "/programs", "name");
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
      throw not_a_spec("/programs/name: must be a file name without a slash");
    spec.programs.emplace_back(absolute(item, "/programs", "from"), std::move(name));
  }
  if (in.contains("tools")) spec.tools = absolute(in, "", "tools");
  if (in.contains("overlay_base")) spec.overlay_base = absolute(in, "", "overlay_base");
  if (in.contains("environment")) {
    if (!in["environment"].is_object()) throw not_a_spec("/environment: must be an object");
    for (const auto& [name, value] : in["environment"].items()) {
      if (name.empty() || name.find('=') != std::string::npos)
        throw not_a_spec("/environment: a name is empty or holds =");
      spec.environment.emplace_back(name, text(in["environment"], "/environment", name.c_str()));
    }
  }
  return spec;
}

}  // namespace

std::string_view to_text(tier value) {
  switch (value) {
    case tier::none:
      return "none";
    case tier::landlock:
      return "landlock";
    case tier::namespaces:
      return "namespaces";
    case tier::namespaces_and_uid:
      return "namespaces+uid";
  }
  return "none";
}

std::optional<tier> tier_from_text(std::string_view text) {
  for (tier value : {tier::none, tier::landlock, tier::namespaces, tier::namespaces_and_uid})
    if (to_text(value) == text) return value;
  return {};
}

json to_json(const sandbox_spec& spec) {
  json forwards = json::array();
  for (const auto& item : spec.forwards) forwards.push_back({{"port", item.port}, {"socket", item.socket}});
  json mounts = json::array();
  for (const auto& item : spec.mounts)
    mounts.push_back({{"from", item.from.string()}, {"to", item.to}, {"writable", item.writable}});
  json programs = json::array();
  for (const auto& [from, name] : spec.programs)
    programs.push_back({{"from", from.string()}, {"name", name}});
  json environment = json::object();
  for (const auto& [name, value] : spec.environment) environment[name] = value;
  json out = {
      {"key", spec.key},
      {"nonce", spec.nonce},
      {"folder", spec.folder.string()},
      {"socket", spec.socket.string()},
      {"tier", to_text(spec.level)},
      {"uid", spec.uid},
      {"gid", spec.gid},
      {"network",
       {{"mode", spec.network == network_mode::proxy ? "proxy" : "none"},
        {"port", spec.proxy_port},
        {"forwards", std::move(forwards)}}},
      {"limits",
       {{"memory", spec.limits.memory_bytes},
        {"disk", spec.limits.disk_bytes},
        {"pids", spec.limits.pids},
        {"cpus", spec.limits.cpus}}},
      {"allow_ptrace", spec.allow_ptrace},
      {"mounts", std::move(mounts)},
      {"programs", std::move(programs)},
      {"environment", std::move(environment)},
  };
  if (spec.tools) out["tools"] = spec.tools->string();
  if (spec.overlay_base) out["overlay_base"] = spec.overlay_base->string();
  return out;
}

std::variant<sandbox_spec, std::string> spec_from_json(const json& text) {
  try {
    return parse(text);
  } catch (const not_a_spec& e) {
    return std::string(e.what());
  } catch (const json::exception& e) {
    return std::string(e.what());
  }
}

std::variant<sandbox_spec, std::string> read_spec(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return "the spec " + file.string() + " cannot be read";
  std::string bytes(spec_bytes + 1, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  if (bytes.size() > spec_bytes) return "the spec " + file.string() + " is larger than 256 KiB";
  const auto parsed = json::parse(bytes, nullptr, false);
  if (parsed.is_discarded()) return "the spec " + file.string() + " is not JSON";
  auto result = spec_from_json(parsed);
  if (auto* wrong = std::get_if<std::string>(&result)) return "the spec " + file.string() + ": " + *wrong;
  return result;
}

}  // namespace troupe::sandboxd
