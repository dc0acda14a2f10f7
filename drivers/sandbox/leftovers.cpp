#include "drivers/sandbox/leftovers.h"

#include <fstream>

#include "drivers/sandbox/run_sandboxd.h"

namespace troupe::drivers {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr auto look_limit = std::chrono::minutes(1);
constexpr int max_rounds = 50;

failed refused(const json& answer) {
  return transport("looking for leftovers: " + answer.value("text", std::string("sandboxd gave no reason")));
}

void append(json& to, const json& more) {
  for (const auto& one : more) to.push_back(one);
}

}  // namespace

attempt<leftovers> prune(const prune_options& o, const is_known& known) {
  leftovers out;
  const auto data = fs::absolute(o.data).lexically_normal();
  const auto inside = data / "";
  const auto list = data / "leftovers.json";
  for (int round = 0; round < max_rounds; ++round) {
    auto look = run_sandboxd_blocking({o.sandboxd, "leftovers", "--data", data.string()}, look_limit);
    if (!look) return look.error();
    if (!look->value("ok", false)) return refused(*look);
    auto nobodys = json::array();
    for (const auto& one : look->at("found")) {
      const auto sandbox = one.value("sandbox", "");
      if (!o.whole_machine && !one.value("where", "").starts_with(inside.string())) continue;
      if (sandbox.empty() || !known(sandbox, one.value("life", ""))) nobodys.push_back(one);
    }
    if (o.dry_run || nobodys.empty()) {
      append(out.found, nobodys);
      return out;
    }
    std::ofstream(list) << nobodys.dump();
    auto done = run_sandboxd_blocking({o.sandboxd, "leftovers", "--remove", list.string()}, look_limit);
    std::error_code ignored;
    fs::remove(list, ignored);
    if (!done) return done.error();
    if (!done->value("ok", false)) return refused(*done);
    append(out.found, done->at("removed"));
    append(out.failed, done->at("failed"));
    if (!look->value("more", false) || done->at("removed").empty()) return out;
  }
  return out;
}

}  // namespace troupe::drivers
