#include "examples/scripted_agent/session.h"

#include <cstring>
#include <ctime>
#include <fstream>
#include <random>

namespace scripted {
namespace {

struct choice {
  const char *id, *name, *description;
};

constexpr choice all_modes[] = {
    {"default", "Default", "Edits files freely, asks before each command"},
    {"careful", "Careful", "Asks before each change and each command"},
    {"plan", "Plan", "Reads only: changes and commands are refused"},
    {"full", "Full access", "Asks for nothing but what the script asks for"},
};
constexpr choice all_models[] = {
    {"scripted-1", "Scripted 1", "Says its messages in chunks of some words"},
    {"scripted-1-fast", "Scripted 1 fast", "Says each message in one chunk"},
};

template <std::size_t N>
void require(const choice (&all)[N], const char* what, const std::string& id) {
  for (const auto& one : all) {
    if (id == one.id) return;
  }
  throw refusal{fault::invalid_params, std::string("there is no ") + what + " `" + id + "`"};
}

std::string new_id() {
  std::random_device random;
  std::string id;
  char part[9];
  for (int i = 0; i < 4; ++i) {
    std::snprintf(part, sizeof part, "%08x", random());
    id += part;
  }
  return id;
}

bool is_id(const std::string& id) {
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::filesystem::path file_of(const std::filesystem::path& home, const std::string& id) {
  return home / "sessions" / (id + ".jsonl");
}

refusal unknown_session(const std::string& id) {
  return {fault::not_found, "there is no session `" + id + "`", {{"sessionId", id}}};
}

}  // namespace

json update_of_chunk(const char* kind, std::string_view text, const std::string& message_id) {
  json update = {{"sessionUpdate", kind}, {"content", {{"type", "text"}, {"text", text}}}};
  if (!message_id.empty()) update["messageId"] = message_id;
  return update;
}

session::session(std::filesystem::path file, peer& client, std::string id, std::string cwd)
    : file_(std::move(file)), client_(client), id_(std::move(id)), cwd_(std::move(cwd)) {
  std::error_code ec;
  std::filesystem::create_directories(file_.parent_path(), ec);
  out_ = std::fopen(file_.c_str(), "ae");
  if (out_ == nullptr) {
    throw refusal{fault::internal, "opening the session's file " + file_.string() + ": " +
                                       std::strerror(errno) +
                                       "; the agent's home must be a folder that it may write"};
  }
  kept_ = std::filesystem::file_size(file_, ec);
}

session::~session() {
  cancel();
  wait();
  std::fclose(out_);
}

std::shared_ptr<session> session::create(const std::filesystem::path& home, peer& client, std::string cwd) {
  auto id = new_id();
  std::shared_ptr<session> made(new session(file_of(home, id), client, id, cwd));
  made->keep({{"sessionId", id}, {"cwd", std::move(cwd)}});
  return made;
}

std::shared_ptr<session> session::load(const std::filesystem::path& home, peer& client,
                                       const std::string& id) {
  if (!is_id(id)) throw unknown_session(id);  // an id becomes a file name
  std::ifstream in(file_of(home, id));
  std::string line;
  if (!in || !std::getline(in, line)) throw unknown_session(id);
  const auto head = json::parse(line, nullptr, false);
  if (!head.is_object() || !head.contains("cwd")) throw unknown_session(id);
  std::shared_ptr<session> made(new session(file_of(home, id), client, id, head["cwd"].get<std::string>()));
  while (std::getline(in, line)) {
    const auto entry = json::parse(line, nullptr, false);  // a crash may have left half a last line
    if (!entry.is_object()) continue;
    made->mode_ = entry.value("mode", made->mode_);
    made->model_ = entry.value("model", made->model_);
    made->used_ = entry.value("used", made->used_);
    made->title_ = entry.value("title", made->title_);
  }
  return made;
}

json session::list(const std::filesystem::path& home) {
  auto sessions = json::array();
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(home / "sessions", ec)) {
    std::ifstream in(entry.path());
    std::string line;
    if (!std::getline(in, line)) continue;
    const auto head = json::parse(line, nullptr, false);
    if (!head.is_object() || !head.contains("cwd")) continue;
    json item = {{"sessionId", head.value("sessionId", "")}, {"cwd", head["cwd"]}};
    while (std::getline(in, line)) {
      if (!line.starts_with("{\"title\"")) continue;
      if (const auto named = json::parse(line, nullptr, false); named.is_object())
        item["title"] = named["title"];
    }
    const auto changed = std::chrono::file_clock::to_sys(entry.last_write_time(ec));
    const std::time_t seconds = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(changed));
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    item["updatedAt"] = text;
    sessions.push_back(std::move(item));
  }
  return sessions;
}

std::string session::cwd() const {
  const std::lock_guard lock(mutex_);
  return cwd_;
}

void session::set_cwd(std::string cwd) {
  const std::lock_guard lock(mutex_);
  cwd_ = std::move(cwd);
}

void session::keep(const json& line) {
  const auto text = line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (kept_ + text.size() > max_session_file) return;
  kept_ += text.size();
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

void session::remember(json update) {
  const std::lock_guard lock(mutex_);
  keep({{"update", std::move(update)}});
}

void session::update(json update) {
  {
    const std::lock_guard lock(mutex_);
    const auto kind = update.value("sessionUpdate", "");
    if (kind == "session_info_update") {
      title_ = update.value("title", title_);
      keep({{"title", title_}});
    }
    if (kind == "current_mode_update") {
      mode_ = update.value("currentModeId", mode_);
      keep({{"mode", mode_}});
    }
    // What describes the present rather than the conversation is sent anew after a load and never replayed.
    if (kind != "available_commands_update" && kind != "config_option_update" && kind != "usage_update" &&
        kind != "current_mode_update") {
      keep({{"update", update}});
    }
  }
  client_.notify("session/update", {{"sessionId", id_}, {"update", std::move(update)}});
}

void session::replay() {
  std::ifstream in(file_);
  std::string line;
  while (std::getline(in, line)) {
    auto entry = json::parse(line, nullptr, false);
    if (entry.is_object() && entry.contains("update")) {
      client_.notify("session/update", {{"sessionId", id_}, {"update", std::move(entry["update"])}});
    }
  }
}

std::string session::mode() const {
  const std::lock_guard lock(mutex_);
  return mode_;
}

std::string session::model() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

std::string session::title() const {
  const std::lock_guard lock(mutex_);
  return title_;
}

json session::modes() const {
  json available = json::array();
  for (const auto& m : all_modes)
    available.push_back({{"id", m.id}, {"name", m.name}, {"description", m.description}});
  return {{"currentModeId", mode()}, {"availableModes", std::move(available)}};
}

json session::config_options() const {
  const auto option = [](const char* id, const char* name, const std::string& current, const auto& all) {
    json values = json::array();
    for (const auto& c : all)
      values.push_back({{"value", c.id}, {"name", c.name}, {"description", c.description}});
    return json{{"id", id},
                {"name", name},
                {"category", id},
                {"type", "select"},
                {"currentValue", current},
                {"options", std::move(values)}};
  };
  return json::array(
      {option("mode", "Mode", mode(), all_modes), option("model", "Model", model(), all_models)});
}

void session::set_mode(const std::string& mode) {
  require(all_modes, "mode", mode);
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  keep({{"mode", mode}});
}

void session::set_model(const std::string& model) {
  require(all_models, "model", model);
  const std::lock_guard lock(mutex_);
  model_ = model;
  keep({{"model", model}});
}

bool session::allowed_always(const std::string& kind) const {
  const std::lock_guard lock(mutex_);
  return always_.contains(kind);
}

void session::allow_always(const std::string& kind) {
  const std::lock_guard lock(mutex_);
  always_.insert(kind);
}

std::int64_t session::spend(const usage_count& more) {
  const std::lock_guard lock(mutex_);
  used_ += more.input + more.output;
  keep({{"used", used_}});
  return used_;
}

bool session::begin_turn(std::function<answer(std::stop_token)> turn) {
  const std::lock_guard lock(turn_mutex_);
  if (running_) return false;
  if (turn_.joinable()) turn_.join();  // the one before has answered already and is only leaving
  running_ = true;
  turn_ = std::jthread([this, turn = std::move(turn)](const std::stop_token& stop) {
    const auto tell = turn(stop);
    {
      const std::lock_guard free(turn_mutex_);
      running_ = false;
    }
    tell();
  });
  return true;
}

void session::cancel() {
  const std::lock_guard lock(turn_mutex_);
  turn_.request_stop();
}

void session::wait() {
  if (turn_.joinable()) turn_.join();
}

}  // namespace scripted
