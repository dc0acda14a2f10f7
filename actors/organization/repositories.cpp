#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/naming.h"
#include "actors/organization/organization.h"
#include "actors/organization/repository_url.h"
#include "actors/text.h"

namespace troupe::actors::organization_actor {
namespace {

struct known {
  std::string state, url;
  std::optional<std::string> credential;
};

std::optional<known> find(const view& v, const std::string& repository) {
  std::optional<known> found;
  v.each(
      "SELECT state, url, credential FROM repositories WHERE repository = ?",
      [&](const storage::row& r) {
        found = known{r.get<std::string>(0), r.get<std::string>(1), r.get<std::optional<std::string>>(2)};
      },
      repository);
  return found;
}

// Asks git whether the repository answers and what its default branch is.
void probe(turn& t, const std::string& repository) {
  const auto r = *find(t, repository);
  json body{{"url", r.url}, {"org", t.self().id()}};
  if (r.credential) body["credential"] = *r.credential;
  const auto effect = t.start({.kind = "git.probe",
                               .body = std::move(body),
                               .then = "org.apply_probe",
                               .context = {{"repository", repository}},
                               .resource = "git",
                               .deadline = organization_limits::probe_deadline});
  t.run("UPDATE repositories SET state = 'checking', probe = ?, error = NULL WHERE repository = ?", effect,
        repository);
}

std::optional<problem> check_fields(const json& body) {
  if (const auto url = text_of(body, "url")) {
    if (const auto why = url_fault(*url))
      return unprocessable("invalid_url", "the repository's address " + *url + " cannot be used: " + *why);
  }
  if (const auto branch = text_of(body, "base_branch")) {
    if (const auto why = branch_fault(*branch))
      return unprocessable("invalid_branch", "base_branch " + *branch + " is no name of a branch: " + *why);
  }
  return std::nullopt;
}

}  // namespace

problem no_repository(std::string_view repository) {
  return not_found("there is no repository " + std::string(repository) +
                   " in this organization; `org.add_repository` adds one");
}

answer add_repository(turn& t, const json& body) {
  if (auto why = check_fields(body)) return *why;
  const auto url = text_or(body, "url", "");
  const auto repository = text_or(body, "repository", repository_name_from(url));
  if (find(t, repository))
    return conflict("exists",
                    "a repository " + repository + " exists already; give another name in `repository`");
  if (t.one<std::int64_t>("SELECT count(*) FROM repositories").value_or(0) >=
      organization_limits::repositories) {
    return conflict("too_many_repositories", "the organization has " +
                                                 std::to_string(organization_limits::repositories) +
                                                 " repositories, the most it takes; remove one first");
  }
  t.run(
      "INSERT INTO repositories (repository, url, credential, base_branch, setup_command, environment, "
      "cache_folder,"
      " network, state, probe, added_by, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'checking', '', ?, ?)",
      repository, url, text_of(body, "credential"), text_of(body, "base_branch"),
      text_of(body, "setup_command"), json_of(body, "environment").value_or("{}"),
      text_of(body, "cache_folder"), json_of(body, "network"), t.principal(), t.now_ms());
  probe(t, repository);
  return json{{"repository", repository}, {"state", "checking"}};
}

answer update_repository(turn& t, const json& body) {
  const auto repository = text_or(body, "repository", "");
  const auto before = find(t, repository);
  if (!before) return no_repository(repository);
  if (auto why = check_fields(body)) return *why;
  if (const auto url = text_of(body, "url"))
    t.run("UPDATE repositories SET url = ? WHERE repository = ?", *url, repository);
  if (body.contains("credential"))
    t.run("UPDATE repositories SET credential = ? WHERE repository = ?", text_of(body, "credential"),
          repository);
  if (body.contains("base_branch"))
    t.run("UPDATE repositories SET base_branch = ? WHERE repository = ?", text_of(body, "base_branch"),
          repository);
  if (body.contains("setup_command"))
    t.run("UPDATE repositories SET setup_command = ? WHERE repository = ?", text_of(body, "setup_command"),
          repository);
  if (body.contains("environment"))
    t.run("UPDATE repositories SET environment = ? WHERE repository = ?",
          json_of(body, "environment").value_or("{}"), repository);
  if (body.contains("cache_folder"))
    t.run("UPDATE repositories SET cache_folder = ? WHERE repository = ?", text_of(body, "cache_folder"),
          repository);
  if (body.contains("network"))
    t.run("UPDATE repositories SET network = ? WHERE repository = ?", json_of(body, "network"), repository);
  const auto after = find(t, repository);
  if (after->url != before->url || after->credential != before->credential) probe(t, repository);
  return json{{"repository", repository}, {"state", find(t, repository)->state}};
}

answer check_repository(turn& t, const json& body) {
  const auto repository = text_or(body, "repository", "");
  const auto r = find(t, repository);
  if (!r) return no_repository(repository);
  if (!next_state(repository_transitions(), r->state, "org.check_repository")) {
    return wrong_state(repository_transitions(), "repository " + repository, r->state, "org.check_repository",
                       "The check that runs ends within a minute.");
  }
  probe(t, repository);
  return json{{"repository", repository}, {"state", "checking"}};
}

answer apply_probe(turn& t, const json& body) {
  const auto result = outcome::of(body);
  const auto repository = text_or(result.context, "repository", "");
  // Removed, changed or checked anew meanwhile.
  if (t.one<std::string>("SELECT probe FROM repositories WHERE repository = ?", repository) != result.effect)
    return done();
  const auto to = *next_state(repository_transitions(), "checking",
                              result.ok() ? "org.apply_probe: ok" : "org.apply_probe: error");
  if (result.ok()) {
    t.run(
        "UPDATE repositories SET state = ?, default_branch = ?, empty = ?, error = NULL, checked_at = ? "
        "WHERE repository = ?",
        to, text_of(result.result(), "default_branch"), flag_of(result.result(), "empty"), t.now_ms(),
        repository);
  } else {
    const json error{{"code", result.error().code},
                     {"detail", clip(result.error().detail, organization_limits::repository_error)}};
    t.run("UPDATE repositories SET state = ?, error = ?, checked_at = ? WHERE repository = ?", to,
          error.dump(), t.now_ms(), repository);
  }
  return done();
}

answer remove_repository(turn& t, const json& body) {
  const auto repository = text_or(body, "repository", "");
  if (!find(t, repository)) return no_repository(repository);
  const auto tasks =
      t.one<std::int64_t>("SELECT count(*) FROM tasks WHERE repository = ?", repository).value_or(0);
  if (tasks > 0) {
    return conflict("repository_in_use", std::to_string(tasks) + " tasks are of repository " + repository +
                                             "; delete them first (`org.delete_task`)");
  }
  t.run("DELETE FROM repositories WHERE repository = ?", repository);
  return done();
}

}  // namespace troupe::actors::organization_actor
