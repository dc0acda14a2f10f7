#include "cli/completion.h"

#include <algorithm>
#include <cctype>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace troupe::cli {

namespace {

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

/// The option that `word` is, of `app` or of what is above it.
const CLI::Option* option_of(const CLI::App* app, const std::string& word) {
  for (; app; app = app->get_parent()) {
    for (const auto* option : app->get_options()) {
      if (!option->get_positional() && option->check_name(word)) return option;
    }
  }
  return nullptr;
}

/// The words between the braces of a check such as TEXT:{allow,always,reject}.
std::vector<candidate> choices(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto begin = type.find('{'), end = type.rfind('}');
  std::vector<candidate> all;
  if (begin == std::string::npos || end == std::string::npos) return all;
  for (auto at = begin + 1; at < end;) {
    const auto comma = std::min(type.find(',', at), end);
    all.push_back({type.substr(at, comma - at), ""});
    at = comma + 1;
  }
  return all;
}

std::vector<const CLI::App*> subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); });
}

std::string placeholder(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true);
  auto name = option.get_lnames().empty() ? std::string() : option.get_lnames().front();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

void add_options(std::vector<candidate>& to, const CLI::App* app) {
  for (; app; app = app->get_parent()) {
    for (const auto* option : app->get_options()) {
      // An empty group is one that help does not show.
      if (option->get_positional() || option->get_group().empty()) continue;
      for (const auto& name : option->get_lnames()) {
        const auto word = "--" + name;
        const bool known = std::ranges::any_of(to, [&](const candidate& one) { return one.word == word; });
        if (!known) to.push_back({word, option->get_description()});
      }
    }
  }
}

}  // namespace

std::vector<candidate> complete(
    const CLI::App& program, const std::vector<std::string>& words,
    const std::function<std::vector<candidate>(const std::string& placeholder)>& names_of) {
  if (words.empty()) return {};
  const CLI::App* app = &program;
  const CLI::Option* wants = nullptr;  // whose value comes next
  std::size_t positionals = 0;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const auto& word = words[i];
    // A shell may cut --name=value at the sign.
    if (word == "=") continue;
    if (wants) {
      wants = nullptr;
    } else if (word.starts_with('-')) {
      const auto* option = word.find('=') == std::string::npos ? option_of(app, word) : nullptr;
      wants = option && takes_value(*option) ? option : nullptr;
    } else {
      const auto below = subcommands(*app);
      const auto sub = std::ranges::find_if(below, [&](const auto* one) { return one->get_name() == word; });
      if (sub != below.end()) {
        app = *sub;
      } else {
        ++positionals;
      }
    }
  }
  const auto current = words.back() == "=" ? std::string() : words.back();
  std::vector<candidate> all;
  const auto values_of = [&](const CLI::Option& option) {
    all = choices(option);
    if (all.empty()) all = names_of(placeholder(option));
  };
  if (wants) {
    values_of(*wants);
  } else if (current.starts_with('-')) {
    add_options(all, app);
  } else if (const auto subs = subcommands(*app); !subs.empty()) {
    for (const auto* sub : subs) all.push_back({sub->get_name(), sub->get_description()});
  } else {
    for (const auto* option : app->get_options()) {
      if (!option->get_positional()) continue;
      if (positionals == 0) {
        values_of(*option);
        break;
      }
      --positionals;
    }
  }
  std::erase_if(all, [&](const candidate& one) { return !one.word.starts_with(current); });
  return all;
}

}  // namespace troupe::cli
