// The task's one sandbox: asked of the organization, woken, watched, given back.
#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

// Of a task: files and processes of its own, bounded; what a weaker tier cannot enforce of the bounds is
// said, not refused.
json default_requirements() {
  return {{"private_files", true},
          {"memory_mb", {{"value", 4096}, {"best_effort", true}}},
          {"cpu", {{"value", 2}, {"best_effort", true}}},
          {"pids", {{"value", 1024}, {"best_effort", true}}},
          {"disk_mb", {{"value", 8192}, {"best_effort", true}}},
          {"network", {{"rule", "public"}}}};
}

// A task may ask for the provider "unsafe": no isolation at all, which the server refuses unless it was
// started for that. Nothing is enforced then, so nothing can be required.
constexpr std::string_view unsafe_provider = "unsafe";

// What every process of the sandbox may know. Secrets go to the setup command and to agents, each time anew.
json without_secrets(const json& environment) {
  json plain = json::object();
  for (const auto& [name, value] : environment.items())
    if (value.is_string()) plain[name] = value;
  return plain;
}

json as_best_effort(const json& wanted) {
  if (wanted.is_object() && wanted.contains("value"))
    return {{"value", wanted["value"]}, {"best_effort", true}};
  return {{"value", wanted}, {"best_effort", true}};
}

json spec(const record& r) {
  auto requirements = default_requirements();
  const auto& network = field(r.repository, "network");
  if (const auto rule = text_field(network, "rule"); !rule.empty()) {
    requirements["network"] = {{"rule", rule}};
    if (const auto& allow = field(network, "allow"); allow.is_array())
      requirements["network"]["allow"] = allow;
  }
  for (const auto& [name, wanted] : r.requirements.items()) requirements[name] = wanted;
  const bool unsafe = r.provider == unsafe_provider;
  if (unsafe)
    for (auto& [name, wanted] : requirements.items()) wanted = as_best_effort(wanted);
  json s{{"provider", unsafe ? "local" : r.provider},
         {"requirements", std::move(requirements)},
         {"environment", without_secrets(r.repository.value("environment", json::object()))},
         {"mounts", {{{"source", r.mirror}, {"target", "/mirror"}, {"read_only", true}}}}};
  if (unsafe) s["unsafe_no_isolation"] = true;
  if (const auto& forwards = field(network, "forwards"); forwards.is_array()) s["forwards"] = forwards;
  return s;
}

void ask_sandbox(turn& t, const record& r, std::string_view command) {
  t.ask(sandbox_key(t, r.sandbox), command, json::object(), "task.apply_sandbox_answer",
        {{"sandbox", r.sandbox}});
}

bool gone(std::string_view state) {
  return state == "lost" || state == "destroyed" || state == "error";
}

void forget_sandbox(record& r) {
  r.sandbox.clear();
  r.sandbox_state = "none";
  r.handle.clear();
  r.tier.clear();
  r.items = json::object();
  r.creation = r.generation = 0;
  r.prepared = -1;
}

std::string lost_words(const record& r, const std::string& state, const std::string& why) {
  std::string text = "the sandbox is " + state + (why.empty() ? std::string(".") : ": " + why + ".");
  text += r.bundle.empty() ? " No work was saved from it"
                           : " The work was last saved as " + r.bundle_commit.substr(0, 12);
  return text + "; task.retry gives the task a new one" + (r.bundle.empty() ? "" : " with it");
}

}  // namespace

void release_sandbox(turn& t, record& r) {
  if (!r.sandbox.empty()) t.send(organization(t), "org.release_sandbox", {{"sandbox", r.sandbox}});
  if (!r.work_effect.empty()) t.cancel(r.work_effect);
  r.work_effect.clear();
  r.work_again = false;
  fail_operations(t, "the sandbox was given back");
  forget_sandbox(r);
}

void ask_for_sandbox(turn& t, record& r) {
  if (gone(r.sandbox_state)) release_sandbox(t, r);
  if (r.sandbox.empty()) {
    r.sandbox = t.new_id();
    r.sandbox_state = "creating";
    t.ask(organization(t), "org.create_sandbox", {{"sandbox", r.sandbox}, {"spec", spec(r)}},
          "task.apply_sandbox_answer", {{"sandbox", r.sandbox}});
  } else if (r.sandbox_state == "paused") {
    ask_sandbox(t, r, "sandbox.resume");
  } else if (r.sandbox_state == "stopped") {
    ask_sandbox(t, r, "sandbox.start");
  }
}

// Only a refusal is news: that something happened, the sandbox says itself.
answer apply_sandbox_answer(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (o.ok() || o.context.value("sandbox", "") != r.sandbox || r.sandbox.empty()) return done();
  if (o.error().code == "sandbox_busy") return done();  // somebody else is waking it; it will say so
  const bool unknown = o.error().status == 404 || o.error().code == "gone";
  if (unknown || r.sandbox_state == "creating") forget_sandbox(r);
  if (r.step == "sandbox") {
    end_step(t, r, "failed", o.error().detail);
    fail(t, r, "there is no sandbox: " + o.error().detail + ". task.retry asks again");
  } else if (r.status == "archiving") {
    r.error = "archiving needs the sandbox, to save its work: " + o.error().detail;
    set_status(t, r, "error");
  }
  advance(t, r);
  return done();
}

answer apply_sandbox_state(turn& t, const json& body) {
  auto r = load(t);
  if (body.at("sandbox") != r.sandbox || key(t.from().actor) != sandbox_key(t, r.sandbox))
    return done();  // an older one
  const auto before = r.sandbox_state;
  r.sandbox_state = body.at("state");
  r.handle = body.value("handle", "");
  r.tier = body.value("tier", r.tier);
  r.items = body.value("items", r.items);
  r.creation = body.value("creation", r.creation);
  r.generation = body.value("generation", r.generation);
  const std::string why = body.value("error", "");
  const bool busy = body.contains("step");

  if (gone(r.sandbox_state)) {
    if (!r.step.empty()) {
      end_step(t, r, "failed", why);
      fail(t, r, lost_words(r, r.sandbox_state, why));
    } else if (r.status == "archiving") {
      r.error = lost_words(r, r.sandbox_state, why) + "; task.archive with discard: true archives it without";
      set_status(t, r, "error");
    } else if (!gone(before) && r.sandbox_state != "destroyed") {
      fail(t, r, lost_words(r, r.sandbox_state, why));
    }
    r.prepared = -1;
    if (!r.work_effect.empty()) t.cancel(r.work_effect);
    r.work_effect.clear();
    fail_operations(t, "the sandbox is " + r.sandbox_state);
  } else if (r.sandbox_state == "running" && !r.handle.empty() && !busy) {
    if (r.step == "sandbox") sandbox_is_up(t, r);
    if (r.status == "archiving" && r.work_effect.empty()) save_work_for_archive(t, r);
  } else if (r.step == "sandbox" && !busy && !why.empty()) {
    end_step(t, r, "failed", why);
    fail(t, r, "the sandbox did not wake up: " + why + ". task.retry tries again");
  } else if (r.step == "sandbox" && !busy && before != r.sandbox_state) {
    ask_for_sandbox(t, r);  // somebody put it to sleep again meanwhile
  } else if (!r.step.empty() && r.step != "sandbox" && r.sandbox_state != "running") {
    stop_provisioning(t, r);  // advance() begins again
  }
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::tasks
