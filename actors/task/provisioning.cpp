// From nothing to a place where an agent can work: slot, mirror, sandbox, checkout, restore, setup; then the
// session starts its agent and sends its prompt. Each step is an effect; its row keeps when it ran, and what
// it said.
#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

constexpr std::string_view order[] = {"slot",    "mirror", "sandbox", "checkout",
                                      "restore", "setup",  "session", "prompt"};

std::int64_t ordinal(std::string_view name) {
  for (std::size_t i = 0; i < std::size(order); ++i)
    if (order[i] == name) return static_cast<std::int64_t>(i);
  return static_cast<std::int64_t>(std::size(order));
}

bool did(const view& v, std::string_view name) {
  return v.one<int>("SELECT 1 FROM step WHERE name = ? AND state = 'done'", name).has_value();
}

std::string setup_command(const record& r) {
  return text_field(r.repository, "setup_command");
}

// As it shows among the steps: a script of many lines by its first.
std::string shown_command(const record& r) {
  const auto whole = setup_command(r);
  const auto line = whole.substr(0, whole.find('\n'));
  return line.size() == whole.size() ? whole : line + " …";
}

void start_step(turn& t, record& r, std::string_view name, std::string_view effect, json body,
                std::chrono::milliseconds deadline = {}) {
  begin_step(t, r, name);
  r.effect = t.start({.kind = effect,
                      .body = std::move(body),
                      .then = "task.apply_step",
                      .context = {{"step", name}},
                      .resource = "git",
                      .deadline = deadline});
}

void start_mirror(turn& t, record& r) {
  start_step(t, r, "mirror", "git.mirror", remote_of(t, r));
}

void start_checkout(turn& t, record& r) {
  start_step(t, r, "checkout", "git.checkout",
             {{"handle", r.handle},
              {"repository", r.repository.at("name")},
              {"url", r.repository.at("url")},
              {"branch", r.branch},
              {"base_branch", r.base_branch},
              {"existing", r.existing_branch},
              {"author", author(r)}});
}

void start_setup(turn& t, record& r) {
  start_step(t, r, "setup", "sandbox.exec",
             {{"handle", r.handle},
              {"command", "sh"},
              {"args", {"-c", setup_command(r)}},
              {"cwd", "/workspace"},
              {"environment", r.repository.value("environment", json::object())},
              {"timeout_ms", std::chrono::milliseconds(setup_deadline).count()},
              {"max_output_bytes", max_step_log}},
             setup_deadline + std::chrono::minutes(1));
}

// When the first of the sessions that may run now began to wait.
void begin(turn& t) {
  t.run("DELETE FROM step");
  std::int64_t since = t.now_ms();
  for (const auto& s : sessions(t))
    if (s.demand && s.slot == "granted" && s.slot_asked_at > 0) since = std::min(since, s.slot_asked_at);
  t.run("INSERT INTO step (name, ordinal, state, started_at, ended_at) VALUES ('slot', 0, 'done', ?, ?)",
        since, t.now_ms());
}

// Which step comes next, by what is missing.
void next(turn& t, record& r) {
  const bool files_missing = r.prepared != r.creation || r.sandbox.empty();
  if (files_missing && !did(t, "mirror")) return start_mirror(t, r);
  if (r.sandbox_state != "running" || r.handle.empty()) {
    begin_step(t, r, "sandbox");
    return ask_for_sandbox(t, r);
  }
  if (files_missing) {
    if (!did(t, "checkout")) return start_checkout(t, r);
    if (!r.bundle.empty() && !did(t, "restore"))
      return start_step(t, r, "restore", "git.restore_work", {{"handle", r.handle}, {"bundle", r.bundle}});
    if (!setup_command(r).empty() && !did(t, "setup")) return start_setup(t, r);
    r.prepared = r.creation;
    refresh_work(t, r);
  }
}

std::string words(std::string_view step, const problem& why) {
  const auto tried = step == "mirror"     ? "fetching the repository"
                     : step == "checkout" ? "checking out the branch"
                     : step == "restore"  ? "restoring the saved work"
                     : step == "setup"    ? "running the setup command"
                                          : "making the sandbox";
  return std::string(tried) + " failed: " + why.detail;
}

void take(turn& t, record& r, const std::string& step, const json& result) {
  if (step == "mirror") {
    r.mirror = text_field(result, "mirror");
    const auto wished = text_field(r.repository, "base_branch");
    r.base_branch = wished.empty() ? text_field(result, "default_branch") : wished;
    return end_step(t, r, "done", r.base_branch);
  }
  if (step == "checkout") {
    r.head = text_field(result, "head");
    r.base = text_field(result, "base");
    return end_step(t, r, "done", r.branch + " at " + r.head.substr(0, 12));
  }
  if (step == "restore") {
    r.head = text_field(result, "commit").empty() ? r.head : text_field(result, "commit");
    return end_step(t, r, "done", "the work saved at " + r.bundle_commit.substr(0, 12));
  }
  const auto output = tail(text_field(result, "stdout") + text_field(result, "stderr"), max_step_log);
  const auto& code = field(result, "exit_code");
  const bool timed_out = field(result, "timed_out") == true;
  if (!timed_out && code == 0) return end_step(t, r, "done", shown_command(r), output);
  const auto how =
      timed_out ? "did not end in time (" + std::to_string(number_field(result, "duration_ms") / 1000) + " s)"
      : code.is_null() ? std::string("was ended by a signal")
                       : "ended with exit code " + code.dump();
  end_step(t, r, "failed", how, output);
  fail(t, r,
       "the setup command `" + clip(setup_command(r), 200) + "` " + how + ": " + tail(output, 800) +
           "\nPut it right in the repository's settings, then task.retry");
}

}  // namespace

json remote_of(const view& v, const record& r) {
  json body{{"org", v.self().id_of("org")},
            {"repository", r.repository.at("name")},
            {"url", r.repository.at("url")}};
  if (r.taken) body["owner"] = r.owner;
  if (const auto credential = text_field(r.repository, "credential"); !credential.empty())
    body["credential"] = credential;
  return body;
}

void note_step(turn& t, std::string_view name, std::string_view state) {
  const std::int64_t ended = state == "running" ? 0 : t.now_ms();
  t.run(
      "INSERT INTO step (name, ordinal, state, started_at, ended_at) VALUES (?1, ?2, ?3, ?4, ?5) "
      "ON CONFLICT (name) DO UPDATE SET state = ?3, ended_at = ?5 WHERE state = 'running'",
      name, ordinal(name), state, t.now_ms(), ended);
}

void begin_step(turn& t, record& r, std::string_view name) {
  r.step = name;
  r.effect.clear();
  t.run("INSERT OR REPLACE INTO step (name, ordinal, state, started_at) VALUES (?, ?, 'running', ?)", name,
        ordinal(name), t.now_ms());
}

void end_step(turn& t, record& r, std::string_view state, std::string_view detail, std::string_view log) {
  t.run("UPDATE step SET state = ?, ended_at = ?, detail = ?, log = ? WHERE name = ?", state, t.now_ms(),
        clip(detail, max_error), log, r.step);
  r.step.clear();
  r.effect.clear();
}

void stop_provisioning(turn& t, record& r) {
  if (!r.effect.empty()) t.cancel(r.effect);
  if (!r.step.empty()) end_step(t, r, "failed", "given up");
}

void fail(turn& t, record& r, const std::string& why) {
  stop_provisioning(t, r);
  r.error = why;
  give_back_slots(t);
}

void provision(turn& t, record& r) {
  if (!r.step.empty()) return;
  begin(t);
  next(t, r);
}

answer apply_step(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (r.effect.empty() || o.effect != r.effect) return done();
  const auto step = r.step;
  if (!o.ok()) {
    end_step(t, r, "failed", o.error().detail);
    fail(t, r, words(step, o.error()));
  } else {
    take(t, r, step, o.result());
    if (r.error.empty()) next(t, r);
  }
  advance(t, r);
  return done();
}

// The sandbox step ends when the sandbox runs; the next one follows at once.
void sandbox_is_up(turn& t, record& r) {
  end_step(t, r, "done", r.tier);
  next(t, r);
}

}  // namespace troupe::actors::tasks
