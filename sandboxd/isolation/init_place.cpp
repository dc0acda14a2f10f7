#include "sandboxd/isolation/init_place.h"

#include <errno.h>
#include <sys/stat.h>

#include <map>

#include <boost/asio/redirect_error.hpp>
#include <nlohmann/json.hpp>

#include "sandboxd/isolation/channel_answer.h"
#include "sandboxd/isolation/control_channel.h"
#include "sandboxd/isolation/file_json.h"
#include "sandboxd/paths.h"

namespace troupe::sandboxd {

namespace asio = wire::asio;
using nlohmann::json;

namespace {

struct known_process {
  explicit known_process(const wire::executor& ex) : bell(ex) { bell.expires_at(wire::time_point::max()); }
  asio::steady_timer bell;  // cancelled at its end
  std::optional<exit_status> ended;
};

os_error paused_error() {
  return {EBUSY, "the sandbox is paused; resume it first"};
}
os_error gone_error() {
  return {ENOTCONN, "the sandbox is gone"};
}
os_error odd_answer() {
  return {EPROTO, "the sandbox gave an answer that makes no sense"};
}

}  // namespace

struct init_place::state {
  state(const wire::executor& e, descriptor socket, environment_list env)
      : ex(e), control(e, std::move(socket)), environment(std::move(env)) {}

  wire::executor ex;
  control_channel control;
  std::unique_ptr<control_channel> files;
  environment_list environment;
  std::map<process_id, std::shared_ptr<known_process>> processes;
  process_id last_process = 0;
  bool paused = false;
  bool over = false;
  std::function<void()> on_end;

  void use_files(descriptor socket) {
    files = std::make_unique<control_channel>(ex, std::move(socket));
    files->start([](const json&, std::vector<descriptor>) {}, [] {});
  }

  void hear(const json& event, std::vector<descriptor> fds) {
    const auto what = event.at("event").get<std::string>();
    if (what == "files" && fds.size() == 1) use_files(std::move(fds.front()));
    if (what != "exit") return;
    auto found = processes.find(event.at("process").get<process_id>());
    if (found == processes.end()) return;
    exit_status status;
    if (event.contains("signal"))
      status.signal = event["signal"].get<int>();
    else
      status.code = event.at("code").get<int>();
    found->second->ended = status;
    found->second->bell.cancel();
  }

  void end() {
    over = true;
    if (files) files->close();
    for (auto& [id, p] : processes) {
      if (!p->ended) p->ended = exit_status{};
      p->bell.cancel();
    }
    if (auto f = std::exchange(on_end, nullptr)) f();
  }

  // One question to the file server. It may have been killed by a neighbour in the middle: then init has
  // started another, whose socket is on its way, and the caller is told EIO.
  awaitable<outcome<control_channel::answer>> ask_files(json request) {
    if (over) co_return gone_error();
    if (paused) co_return paused_error();
    if (!files || files->closed())
      co_return os_error{EIO, "the sandbox's file server was killed from inside"};
    auto got = co_await files->ask(std::move(request));
    if (!got && got.error().number == ENOTCONN && !over)
      co_return os_error{EIO, "the sandbox's file server was killed from inside"};
    co_return got;
  }

  awaitable<outcome<done>> do_files(json request) {
    auto got = co_await ask_files(std::move(request));
    if (!got) co_return got.error();
    co_return done{};
  }
};

init_place::init_place(wire::executor ex, descriptor control, environment_list environment)
    : state_(std::make_shared<state>(ex, std::move(control), std::move(environment))) {
  std::weak_ptr<state> weak = state_;
  state_->control.start(
      [weak](const json& event, std::vector<descriptor> fds) {
        if (auto s = weak.lock()) s->hear(event, std::move(fds));
      },
      [weak] {
        if (auto s = weak.lock()) s->end();
      });
}

init_place::~init_place() {
  state_->on_end = nullptr;
  state_->control.close();
  state_->end();
}

awaitable<outcome<done>> init_place::begin(const sandbox_spec& spec) {
  json routes = json::array();
  if (spec.network == network_mode::proxy) {
    const std::string folder = std::string(inside::network) + "/";
    routes.push_back({{"port", spec.proxy_port}, {"socket", folder + "proxy.sock"}});
    for (const auto& item : spec.forwards)
      routes.push_back({{"port", item.port}, {"socket", folder + item.socket}});
  }
  json request = {
      {"op", "begin"},
      {"routes", std::move(routes)},
      {"limits",
       {{"memory", spec.limits.memory_bytes}, {"disk", spec.limits.disk_bytes}, {"pids", spec.limits.pids}}}};
  auto s = state_;
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  if (got->fds.size() != 1) co_return odd_answer();
  s->use_files(std::move(got->fds.front()));
  co_return done{};
}

void init_place::on_end(std::function<void()> f) {
  state_->on_end = std::move(f);
}

bool init_place::ended() const {
  return state_->over;
}
void init_place::set_paused(bool paused) {
  state_->paused = paused;
}

awaitable<outcome<done>> init_place::stop_all() {
  auto s = state_;
  json request = {{"op", "pause"}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  co_return done{};
}

awaitable<outcome<done>> init_place::continue_all() {
  auto s = state_;
  json request = {{"op", "resume"}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  co_return done{};
}

awaitable<outcome<std::size_t>> init_place::count_processes() {
  auto s = state_;
  if (s->over) co_return gone_error();
  if (s->paused) co_return paused_error();
  json request = {{"op", "count"}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  co_return got->body.value("processes", std::size_t{0});
}

awaitable<outcome<spawned>> init_place::spawn(process_spec spec) {
  auto s = state_;
  if (s->over) co_return gone_error();
  if (s->paused) co_return paused_error();
  auto environment = s->environment;
  for (auto& [name, value] : spec.environment) {
    bool found = false;
    for (auto& item : environment)
      if (item.first == name) item.second = value, found = true;
    if (!found) environment.emplace_back(name, value);
  }
  json argv = json::array(), variables = json::array();
  for (const auto& word : spec.argv) argv.push_back(bytes_to_json(word));
  for (const auto& [name, value] : environment) variables.push_back(bytes_to_json(name + "=" + value));
  std::string directory;
  if (!spec.directory.empty()) {
    auto path = absolute_path(spec.directory, inside::home);
    if (!path) co_return path.error();
    directory = std::move(path).value();
  }
  const auto id = ++s->last_process;
  // Known before it is asked for: its exit may be reported before our answer has been looked at.
  s->processes.emplace(id, std::make_shared<known_process>(s->ex));
  json request = {{"op", "spawn"},
                  {"process", id},
                  {"argv", std::move(argv)},
                  {"environment", std::move(variables)},
                  {"directory", bytes_to_json(directory)},
                  {"terminal", spec.terminal},
                  {"columns", spec.columns},
                  {"rows", spec.rows}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got || got->fds.size() != (spec.terminal ? 1u : 3u)) {
    s->processes.erase(id);
    if (!got) co_return got.error();
    co_return odd_answer();
  }
  spawned out;
  out.id = id;
  out.pid = got->body.value("pid", std::int64_t{0});
  if (spec.terminal) {
    out.terminal = std::move(got->fds[0]);
  } else {
    out.input = std::move(got->fds[0]);
    out.output = std::move(got->fds[1]);
    out.error = std::move(got->fds[2]);
  }
  co_return out;
}

awaitable<exit_status> init_place::wait(process_id id) {
  auto s = state_;
  auto found = s->processes.find(id);
  if (found == s->processes.end()) co_return exit_status{};
  auto p = found->second;
  while (!p->ended) {
    boost::system::error_code ec;
    co_await p->bell.async_wait(asio::redirect_error(asio::use_awaitable, ec));
  }
  co_return *p->ended;
}

awaitable<outcome<done>> init_place::signal(process_id id, int number, reach whom) {
  auto s = state_;
  if (s->over) co_return gone_error();
  if (s->paused) co_return paused_error();
  json request = {{"op", "signal"}, {"process", id}, {"number", number}, {"tree", whom == reach::tree}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  co_return done{};
}

awaitable<outcome<done>> init_place::end_commands(process_id id, unsigned long long since) {
  auto s = state_;
  if (s->over) co_return gone_error();
  if (s->paused) co_return paused_error();
  json request = {{"op", "end_commands"}, {"process", id}, {"since", since}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  co_return done{};
}

void init_place::forget(process_id id) {
  state_->processes.erase(id);
  if (!state_->over) state_->control.tell({{"op", "forget"}, {"process", id}});
}

awaitable<outcome<std::string>> init_place::find_program(std::string name) {
  auto s = state_;
  if (s->over) co_return gone_error();
  if (s->paused) co_return paused_error();
  json request = {{"op", "find"}, {"name", std::move(name)}, {"path", environment("PATH").value_or("")}};
  auto got = co_await s->control.ask(std::move(request));
  if (!got) co_return got.error();
  co_return got->body.value("path", "");
}

std::optional<std::string> init_place::environment(const std::string& name) const {
  for (const auto& item : state_->environment)
    if (item.first == name) return item.second;
  return {};
}

std::string init_place::home() const {
  return inside::home;
}

awaitable<outcome<file_status>> init_place::status(std::string path) {
  auto s = state_;
  json request = {{"op", "status"}, {"path", bytes_to_json(path)}};
  auto got = co_await s->ask_files(std::move(request));
  if (!got) co_return got.error();
  try {
    co_return file_status_from_json(got->body.at("status"));
  } catch (const json::exception&) {
  }
  co_return odd_answer();
}

awaitable<outcome<std::vector<file_entry>>> init_place::list(std::string path) {
  auto s = state_;
  json request = {{"op", "list"}, {"path", bytes_to_json(path)}};
  auto got = co_await s->ask_files(std::move(request));
  if (!got) co_return got.error();
  std::vector<file_entry> out;
  try {
    for (const auto& item : got->body.at("entries"))
      out.push_back({bytes_from_json(item.at(0)), file_status_from_json(item.at(1))});
    co_return out;
  } catch (const json::exception&) {
  }
  co_return odd_answer();
}

awaitable<outcome<descriptor>> init_place::open(std::string path, open_mode how, std::uint32_t mode) {
  auto s = state_;
  json request = {
      {"op", "open"}, {"path", bytes_to_json(path)}, {"replace", how == open_mode::replace}, {"mode", mode}};
  auto got = co_await s->ask_files(std::move(request));
  if (!got) co_return got.error();
  // Looked at again on this side: whoever answers runs beside the agent, and only a regular file cannot block
  // us.
  struct stat info {};
  if (got->fds.size() != 1 || ::fstat(got->fds[0].get(), &info) < 0 || !S_ISREG(info.st_mode))
    co_return odd_answer();
  co_return std::move(got->fds[0]);
}

awaitable<outcome<done>> init_place::make_directory(std::string path) {
  json request = {{"op", "make_directory"}, {"path", bytes_to_json(path)}};
  return state_->do_files(std::move(request));
}

awaitable<outcome<done>> init_place::make_symlink(std::string target, std::string path) {
  json request = {{"op", "make_symlink"}, {"target", bytes_to_json(target)}, {"path", bytes_to_json(path)}};
  return state_->do_files(std::move(request));
}

awaitable<outcome<done>> init_place::move(std::string from, std::string to, bool overwrite) {
  json request = {
      {"op", "move"}, {"from", bytes_to_json(from)}, {"to", bytes_to_json(to)}, {"overwrite", overwrite}};
  return state_->do_files(std::move(request));
}

awaitable<outcome<done>> init_place::remove(std::string path, bool recursive) {
  json request = {{"op", "remove"}, {"path", bytes_to_json(path)}, {"recursive", recursive}};
  return state_->do_files(std::move(request));
}

}  // namespace troupe::sandboxd
