#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/naming.h"
#include "actors/organization/organization.h"
#include "actors/roles.h"

namespace troupe::actors::organization_actor {
namespace {

struct defaults {
  std::string agent, provider, branch_prefix, requirements;
  std::optional<std::string> model, mode;
};

defaults defaults_of(const view& v) {
  defaults d;
  v.each(
      "SELECT default_agent, default_provider, branch_prefix, requirements, default_model, default_mode FROM "
      "settings",
      [&](const storage::row& r) {
        d = {r.get<std::string>(0),
             r.get<std::string>(1),
             r.get<std::string>(2),
             r.get<std::string>(3),
             r.get<std::optional<std::string>>(4),
             r.get<std::optional<std::string>>(5)};
      });
  return d;
}

bool branch_taken(const view& v, const std::string& repository, const std::string& branch) {
  return v.one<int>("SELECT 1 FROM tasks WHERE repository = ? AND branch = ?", repository, branch)
      .has_value();
}

// The branch that was asked for, or one made from the title.
std::variant<std::string, problem> choose_branch(const view& v, const json& body,
                                                 const std::string& repository, const std::string& title,
                                                 const std::string& prefix, const std::string& task) {
  const auto asked = text_of(body, "branch");
  if (!asked) {
    if (flag_of(body, "existing_branch")) {
      return unprocessable("branch_missing",
                           "existing_branch says to continue on a branch: name it in `branch`");
    }
    return unique_branch(
        branch_from(title, prefix), [&](const std::string& b) { return branch_taken(v, repository, b); },
        task);
  }
  if (const auto why = branch_fault(*asked)) {
    return unprocessable("invalid_branch", *asked + " is no name of a branch: " + *why);
  }
  if (branch_taken(v, repository, *asked)) {
    return conflict("branch_taken", "another task of repository " + repository + " works on branch " +
                                        *asked + "; one task is one branch");
  }
  return *asked;
}

// A program of a task shows its maker whatever it is given.
bool names_a_secret(const json& servers) {
  for (const auto& one : servers)
    for (const auto* given : {"environment", "headers"})
      if (const auto at = one.find(given); at != one.end())
        for (const auto& [name, value] : at->items())
          if (value.is_object()) return true;
  return false;
}

// Puts the task into the index and the list. `prompt` is what the agent gets first; empty for nothing.
std::variant<json, problem> add(turn& t, const json& body, const std::string& prompt, bool made,
                                std::string_view status) {
  const auto repository = text_or(body, "repository", "");
  const auto state = t.one<std::string>("SELECT state FROM repositories WHERE repository = ?", repository);
  if (!state) return no_repository(repository);
  if (*state == "error") {
    const auto error =
        parsed(t.one<std::string>("SELECT error FROM repositories WHERE repository = ?", repository));
    return conflict("repository_not_ready", "repository " + repository +
                                                " did not answer when it was checked (" +
                                                text_or(error, "detail", "no reason given") +
                                                "); put that right, then `org.check_repository`");
  }
  if (t.one<std::int64_t>("SELECT sum(tasks) FROM counts").value_or(0) >= organization_limits::tasks) {
    return conflict("too_many_tasks", "the organization has " + std::to_string(organization_limits::tasks) +
                                          " tasks, the most it takes; delete some first");
  }
  const auto owner = text_or(body, "owner", t.principal());
  if (body.contains("owner") && !at_least(role_of(t, owner), role::member)) {
    return unprocessable("owner_not_a_member",
                         owner + " cannot own a task: not a member of this organization");
  }
  if (const auto base = text_of(body, "base_branch")) {
    if (const auto why = branch_fault(*base)) {
      return unprocessable("invalid_branch", "base_branch " + *base + " is no name of a branch: " + *why);
    }
  }
  const auto servers = body.value("mcp_servers", json::array());
  if (auto why = fault_of_mcp_servers(servers)) return *why;
  if (names_a_secret(servers) && !at_least(role_of(t, t.principal()), role::admin))
    return forbidden("only an administrator of the organization names secrets for MCP servers");
  const auto d = defaults_of(t);
  const auto task = t.new_id();
  const auto description = text_or(body, "description", "");
  // An explicit title is tidied the same way, so that every list can show it on one line.
  const auto title = title_from(text_or(body, "title", description));
  const auto branch = choose_branch(t, body, repository, title, d.branch_prefix, task);
  if (const auto* why = std::get_if<problem>(&branch)) return *why;
  const auto& name = std::get<std::string>(branch);

  t.run(
      "INSERT INTO tasks (task, repository, branch, existing_branch, base_branch, description, prompt, "
      "agent, model, mode,"
      " provider, requirements, created_by, made, mcp_servers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?)",
      task, repository, name, flag_of(body, "existing_branch"), text_of(body, "base_branch"), description,
      prompt.empty() ? std::nullopt : std::optional(prompt), text_or(body, "agent", d.agent),
      body.contains("model") ? text_of(body, "model") : d.model,
      body.contains("mode") ? text_of(body, "mode") : d.mode, text_or(body, "provider", d.provider),
      json_of(body, "requirements").value_or(d.requirements), t.principal(), made,
      json_of(body, "mcp_servers"));
  t.run(
      "INSERT INTO summaries (task, title, words, repository, status, owner, sandbox_state, sessions, files, "
      "additions,"
      " deletions, created_at, updated_at)"
      " VALUES (?1, ?2, lower(?2 || ' ' || ?3), ?4, ?5, ?6, 'none', '[]', 0, 0, 0, ?7, ?7)",
      task, title, name, repository, status, owner, t.now_ms());
  return json{{"task", task}, {"title", title}, {"branch", name}};
}

// Makes the actor; it initializes itself from what stands in the index here.
void make(turn& t, const std::string& task) {
  json body = json::object();
  std::string repository;
  std::optional<std::string> base;
  const auto put = [](json& into, const char* name, const std::optional<std::string>& value) {
    if (value) into[name] = *value;
  };
  t.each(
      "SELECT s.title, t.branch, t.description, t.existing_branch, t.repository, s.owner, t.agent, t.model, "
      "t.mode,"
      " t.provider, t.requirements, t.prompt, t.created_by, t.base_branch,"
      " coalesce(t.mcp_servers, (SELECT mcp_servers FROM settings))"
      " FROM tasks t JOIN summaries s USING (task) WHERE t.task = ?",
      [&](const storage::row& r) {
        body = {{"title", r.get<std::string>(0)},       {"branch", r.get<std::string>(1)},
                {"description", r.get<std::string>(2)}, {"existing_branch", r.get<bool>(3)},
                {"owner", r.get<std::string>(5)},       {"agent", r.get<std::string>(6)},
                {"provider", r.get<std::string>(9)},    {"requirements", json::parse(r.get<std::string>(10))},
                {"created_by", r.get<std::string>(12)}};
        put(body, "model", r.get<std::optional<std::string>>(7));
        put(body, "mode", r.get<std::optional<std::string>>(8));
        put(body, "prompt", r.get<std::optional<std::string>>(11));
        repository = r.get<std::string>(4);
        base = r.get<std::optional<std::string>>(13);
        body["mcp_servers"] = json::parse(r.get<std::string>(14));
      },
      task);
  t.each(
      "SELECT url, credential, coalesce(base_branch, default_branch), setup_command, environment, network"
      " FROM repositories WHERE repository = ?",
      [&](const storage::row& r) {
        json about{{"name", repository},
                   {"url", r.get<std::string>(0)},
                   {"environment", json::parse(r.get<std::string>(4))}};
        put(about, "credential", r.get<std::optional<std::string>>(1));
        put(about, "base_branch", base ? base : r.get<std::optional<std::string>>(2));
        put(about, "setup_command", r.get<std::optional<std::string>>(3));
        about["network"] = parsed(r.get<std::optional<std::string>>(5), {{"rule", "public"}});
        body["repository"] = std::move(about);
      },
      repository);
  t.create(t.self().child("task", task), "task.initialize", std::move(body));
}

}  // namespace

// Nothing is kept: another task may take the branch before this one is made.
answer preview_task(const view& v, const json& body) {
  const auto repository = text_or(body, "repository", "");
  const auto title = title_from(text_or(body, "title", text_or(body, "description", "")));
  const auto branch = unique_branch(
      branch_from(title, defaults_of(v).branch_prefix),
      [&](const std::string& b) { return branch_taken(v, repository, b); }, "next");
  return json{{"title", title}, {"branch", branch}};
}

answer create_task(turn& t, const json& body) {
  const auto prompt = text_or(body, "prompt", text_or(body, "description", ""));
  auto added = add(t, body, prompt, true, "queued");
  if (auto* why = std::get_if<problem>(&added)) return std::move(*why);
  auto& result = std::get<json>(added);
  make(t, result["task"].get<std::string>());
  return std::move(result);
}

answer import_tasks(turn& t, const json& body) {
  auto all = json::array();
  for (const auto& one : body.at("tasks")) {
    auto added = add(t, one, text_or(one, "prompt", ""), false, "idle");
    if (auto* why = std::get_if<problem>(&added)) {
      why->detail = "task " + std::to_string(all.size()) + " of the list: " + why->detail;
      return std::move(*why);
    }
    all.push_back(std::move(std::get<json>(added)));
  }
  return json{{"tasks", std::move(all)}};
}

answer materialize_task(turn& t, const json& body) {
  const auto task = text_or(body, "task", "");
  const auto made = t.one<bool>("SELECT made FROM tasks WHERE task = ?", task);
  if (!made) return no_task(task);
  if (*made) return json{{"task", task}, {"created", false}};
  t.run("UPDATE tasks SET made = 1 WHERE task = ?", task);
  make(t, task);
  return json{{"task", task}, {"created", true}};
}

}  // namespace troupe::actors::organization_actor
