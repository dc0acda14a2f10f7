#include "drivers/git/script_run.h"

#include <charconv>

#include "drivers/git/scripts.h"

namespace troupe::drivers::git {
namespace {

constexpr auto clean_limit = std::chrono::seconds(30);
constexpr std::size_t max_words = 4096;  // bytes of git's stderr in an error

std::string last_words(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.size() > max_words) text = "…" + text.substr(text.size() - max_words);
  return text.empty() ? "git gave no reason" : text;
}

failed explain(const std::string& about, const process_result& ended) {
  const auto words = about + ": " + last_words(ended.error);
  if (ended.timed_out)
    return timed_out(about + ": git did not finish in time; the repository may be too large for it");
  if (!ended.exit_code)
    return git_failed(words + "; git was killed, perhaps because the sandbox is out of memory");
  switch (*ended.exit_code) {
    case scripts::no_branch:
      return git_failed(words + "; choose a branch that exists, or let the task make a new one");
    case scripts::no_base:
      return git_failed(words + "; set the repository's base branch to one that exists");
    case scripts::bad_branch:
      return git_failed(words + "; choose another name");
    case scripts::no_base_commit:
      return git_failed(words + "; the agent has rewritten the history");
    case scripts::conflicts:
      return git_refused("conflicts", words + "; resolve them (ask the agent to) and try again");
    case scripts::no_repository:
      return git_failed(words + "; retry the task to have it cloned anew");
    case scripts::bad_bundle:
      return git_failed(words);
    case scripts::no_task_branch:
      return git_refused("nothing_to_push", words + "; commit something on it first (task.commit)");
    case scripts::merging:
      return git_refused("merge_under_way",
                         words + "; resolve and commit it, or abort it (task.abort_update)");
    case scripts::not_merging:
      return git_refused("no_merge", words);
    case scripts::would_overwrite:
      return git_refused("uncommitted_changes",
                         words + "; commit what was changed (task.commit) and try again");
    case 127:
      return git_failed(words + "; git must be installed where the sandbox takes its programs from");
    default:
      break;
  }
  if (ended.error.find("No space left") != std::string::npos)
    return quota(words + "; the sandbox's disk is full");
  if (ended.error.find("index.lock") != std::string::npos) {
    return git_failed(
        words +
            "; another git works in the sandbox right now, or one was killed: try again, and if it "
            "stays so remove the lock",
        true);
  }
  return git_failed(words);
}

}  // namespace

bool is_commit_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

script_answer::script_answer(const std::string& output) {
  for (std::size_t at = 0; at < output.size();) {
    const auto end = std::min(output.find('\n', at), output.size());
    const auto line = output.substr(at, end - at);
    if (const auto is = line.find('='); is != std::string::npos)
      values_[line.substr(0, is)] = line.substr(is + 1);
    at = end + 1;
  }
}

std::string script_answer::text(const std::string& name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? std::string() : at->second;
}

std::string script_answer::commit(const std::string& name) const {
  auto value = text(name);
  return is_commit_id(value) ? value : std::string();
}

std::int64_t script_answer::number(const std::string& name) const {
  const auto value = text(name);
  std::int64_t number = 0;
  const auto begin = value.find_first_not_of(' ');
  if (begin != std::string::npos) std::from_chars(value.data() + begin, value.data() + value.size(), number);
  return number;
}

wire::asio::awaitable<attempt<script_answer>> run_script(environment_ptr world, std::string handle,
                                                         script what, wire::time_point deadline) {
  process_request process;
  process.command = "/usr/bin/env";
  process.args = {"-i"};
  for (auto& variable : scripts::clean_environment()) process.args.push_back(std::move(variable));
  process.args.insert(process.args.end(),
                      {"/bin/sh", "-c", std::string(scripts::common) + std::string(what.text), "troupe-git"});
  for (auto& argument : what.arguments) process.args.push_back(std::move(argument));
  auto ended =
      co_await world->daemons.run(std::move(handle), what.about, std::move(process), what.key, deadline);
  if (!ended) co_return ended.error();
  if (ended->timed_out || ended->exit_code != 0) co_return explain(what.about, *ended);
  co_return script_answer(ended->output);
}

wire::asio::awaitable<void> clean_up(environment_ptr world, std::string handle, std::string workspace,
                                     std::string folder) {
  script what;
  what.text = scripts::clean;
  what.arguments = {std::move(workspace), std::move(folder)};
  what.about = "cleaning up";
  [[maybe_unused]] const auto done =
      co_await run_script(world, std::move(handle), std::move(what), wire::clock::now() + clean_limit);
}

}  // namespace troupe::drivers::git
