// How subcommands are declared, so that each has a description, examples, and the options of the whole
// program behind it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace troupe::cli {

/// A group: `troupe task`. It needs one of its subcommands.
inline CLI::App* group(CLI::App& under, const std::string& name, const std::string& what,
                       const std::string& examples) {
  auto* made = under.add_subcommand(name, what);
  made->require_subcommand(1)->fallthrough()->footer("\nexamples:\n" + examples);
  return made;
}

/// A subcommand that does something. Examples are whole lines, each indented by two.
inline CLI::App* action(CLI::App& under, const std::string& name, const std::string& what,
                        const std::string& examples, std::function<void()> run) {
  auto* made = under.add_subcommand(name, what);
  made->fallthrough()->footer("\nexamples:\n" + examples);
  made->callback(std::move(run));
  return made;
}

}  // namespace troupe::cli
