// Shell completion: a few lines for the shell, which ask this program what may follow.
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/context.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

/// Nobody waits longer for a list after pressing Tab.
constexpr std::chrono::milliseconds patience{700};

constexpr const char* bash = R"(# troupe completion bash
_troupe() {
  local word
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    COMPREPLY+=("$word")
  done < <("${COMP_WORDS[0]}" completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _troupe troupe
)";

constexpr const char* zsh = R"(#compdef troupe
# troupe completion zsh
_troupe() {
  local -a found
  local line
  for line in "${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  if (( $#found )); then
    _describe troupe found
  else
    _files
  fi
}
if [[ $funcstack[1] == _troupe ]]; then
  _troupe "$@"
else
  compdef _troupe troupe
fi
)";

/// What the server knows for a placeholder. Silent about what fails: there is a line being typed.
std::vector<candidate> names(context& c, const std::string& placeholder) {
  std::vector<candidate> all;
  const auto org = [&] { return api(c.place(), patience).snapshot(c.org_key()); };
  const auto each = [&](const json& list, const char* name, const char* what) {
    for (const auto& one : list) all.push_back({plain(one.value(name, "")), plain(one.value(what, ""))});
  };
  try {
    if (placeholder == "TASK" || placeholder == "SESSION" || placeholder == "SANDBOX") {
      each(org().at("tasks"), "branch", "title");
    } else if (placeholder == "REPOSITORY" || placeholder == "REPO") {
      each(org().at("repositories"), "repository", "url");
    } else if (placeholder == "USER" || placeholder == "OWNER") {
      each(org().at("members"), "user", "role");
    } else if (placeholder == "ORG") {
      const auto roles = c.principal().value("roles", json::object());
      for (const auto& [name, role] : roles.items()) all.push_back({name, role.get<std::string>()});
    }
  } catch (const std::exception&) {
    all.clear();
  }
  return all;
}

}  // namespace

void add_completion(CLI::App& app, context& c) {
  auto* completion =
      group(app, "completion", "completion of commands, options, tasks and repositories in a shell",
            "  source <(troupe completion bash)\n  source <(troupe completion zsh)\n\n"
            "Such a line in ~/.bashrc or ~/.zshrc makes it stay.\n");
  const auto shell = [&](const char* name, const char* text) {
    action(*completion, name, fmt::format("what {} reads", name),
           fmt::format("  source <(troupe completion {})\n", name), [&c, text] { c.out.write(text); });
  };
  shell("bash", bash);
  shell("zsh", zsh);
  auto words = std::make_shared<std::vector<std::string>>();
  auto* asked = completion->add_subcommand("words", "what may follow these words, for the shells");
  asked->group("")->add_option("WORDS", *words);
  asked->callback([&app, &c, words] {
    // Which server and organization the line that is typed means.
    for (std::size_t i = 0; i + 1 < words->size(); ++i) {
      const auto& word = (*words)[i];
      if (word == "--org") c.organization = (*words)[i + 1];
      if (word == "--server") c.server_url = (*words)[i + 1];
      if (word == "--data") c.data = (*words)[i + 1];
    }
    const auto found =
        complete(app, *words, [&](const std::string& placeholder) { return names(c, placeholder); });
    for (const auto& one : found) c.out.line(fmt::format("{}\t{}", one.word, one.what));
  });
}

}  // namespace troupe::cli
