#include "cli/task_view.h"

#include <fmt/format.h>

namespace troupe::cli {

using nlohmann::json;

namespace {

std::string text_of(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? plain(at->get<std::string>()) : std::string();
}

/// What a step does, for people; unknown ones are named as they are.
std::string step_words(const std::string& name) {
  static const std::map<std::string_view, std::string_view> words{
      {"slot", "wait for a free slot"},  {"mirror", "mirror the repository"},
      {"sandbox", "create the sandbox"}, {"checkout", "clone and check out"},
      {"restore", "restore saved work"}, {"setup", "run the setup command"},
      {"session", "start the agent"},    {"prompt", "send the prompt"}};
  const auto at = words.find(name);
  return at == words.end() ? name : std::string(at->second);
}

}  // namespace

std::string task_status(const terminal& to, const std::string& status) {
  if (status == "running" || status == "provisioning") return to.paint(style::blue, status);
  if (status == "needs_input" || status == "queued") return to.paint(style::yellow, status);
  if (status == "error" || status == "killed") return to.paint(style::red, status);
  if (status == "archived" || status == "archiving") return to.paint(style::dim, status);
  return to.paint(style::green, status);
}

std::string diff_numbers(const terminal& to, const json& diff) {
  const auto count = [&](const char* name) {
    const auto at = diff.find(name);
    if (at == diff.end()) return std::uint64_t{0};
    return at->is_array() ? at->size() : at->is_number() ? at->get<std::uint64_t>() : 0;
  };
  const auto files = count("files");
  if (files == 0) return {};
  return fmt::format("{} file{}  {} {}", files, files == 1 ? "" : "s",
                     to.paint(style::green, fmt::format("+{}", count("additions"))),
                     to.paint(style::red, fmt::format("−{}", count("deletions"))));
}

bool provisioning_view::show(const json& snapshot) {
  bool printed = false;
  for (const auto& step : snapshot.value("steps", json::array())) {
    const auto name = text_of(step, "name");
    const auto state = text_of(step, "state");
    // The transcript shows the prompt itself.
    if (state == "running" || name.empty() || name == "prompt") continue;
    auto& before = steps_[name];
    const auto now = fmt::format("{} {}", state, step.value("started_at", std::int64_t{0}));
    if (before == now) continue;
    before = now;
    printed = true;
    const bool good = state != "failed";
    const auto took = step.contains("ms") && step["ms"].is_number()
                          ? duration(std::chrono::milliseconds(step["ms"].get<std::int64_t>()))
                          : "";
    const auto detail = text_of(step, "detail");
    if (!good) failed_ = detail;
    out_.line(fmt::format("  {} {} {}", good ? out_.paint(style::green, "✔") : out_.paint(style::red, "✘"),
                          padded(step_words(name), 26),
                          detail.empty() ? took : padded(took, 8) + "  " + out_.paint(style::dim, detail)));
  }
  const auto status = text_of(snapshot, "status");
  const auto error = text_of(snapshot, "error");
  // A slot that is free comes at once; only a place in the queue is worth a line.
  const auto position = status == "queued" && snapshot.contains("position") ? snapshot["position"] : json();
  if (position != position_) {
    position_ = position;
    if (position.is_number()) {
      printed = true;
      out_.line(
          out_.paint(style::yellow, fmt::format("  waits for a free slot, position {}", position.dump())));
    }
  }
  if (error != error_) {
    error_ = error;
    // A step that failed has said it.
    if (!error.empty() && (failed_.empty() || !error.ends_with(failed_))) {
      printed = true;
      out_.write(wrapped(out_.paint(style::red, "✘ " + error), out_.width(), "  ", "    "));
    }
  }
  return printed;
}

}  // namespace troupe::cli
