#include "sandboxd/isolation/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <nlohmann/json.hpp>

#include "sandboxd/direct_place.h"
#include "sandboxd/isolation/bwrap.h"
#include "sandboxd/isolation/init_place.h"
#include "sandboxd/isolation/rlimits.h"
#include "sandboxd/server_limits.h"

namespace troupe::sandboxd {

namespace asio = wire::asio;
using nlohmann::json;

namespace {

// Where nothing is mounted, programs stand in a folder as links under their names.
std::filesystem::path linked_programs(const sandbox_spec& spec) {
  return spec.run() / "programs";
}

outcome<done> link_programs(const sandbox_spec& spec) {
  std::error_code ec;
  std::filesystem::create_directories(linked_programs(spec), ec);
  for (const auto& [from, name] : spec.programs) {
    if (ec) break;
    const auto link = linked_programs(spec) / name;
    std::filesystem::remove(link, ec);
    if (!ec) std::filesystem::create_symlink(from, link, ec);
  }
  if (ec) return os_error{ec.value(), "link programs in " + linked_programs(spec).string()};
  return done{};
}

// Of processes that nothing isolates: real paths, and no proxy, as none listens outside of a network
// namespace.
std::vector<std::pair<std::string, std::string>> outer_environment(sandbox_spec spec) {
  spec.network = network_mode::none;
  auto out = inner_environment(spec);
  for (auto& [name, value] : out) {
    if (name == "HOME") value = spec.home().string();
    if (name != "PATH") continue;
    value = value.substr(value.find("/usr/local/sbin"));
    if (spec.tools) value = (*spec.tools / "bin").string() + ":" + value;
    value = linked_programs(spec).string() + ":" + value;
  }
  return out;
}

constexpr auto stop_limit = std::chrono::milliseconds(500);  // for answers in flight at the end

wire::response answer(int status, const json& body) {
  return wire::response::json(status, body.dump(-1, ' ', false, json::error_handler_t::replace));
}

wire::response conflict(int status, const std::string& code, const std::string& detail) {
  wire::problem p;
  p.status = status;
  p.code = code;
  p.detail = detail;
  return p.to_response();
}

}  // namespace

struct supervisor::impl {
  impl(sandbox_spec s, supervisor_record r, cgroups g, std::optional<launched> i)
      : spec(std::move(s)), record(std::move(r)), groups(std::move(g)), inner(std::move(i)) {}

  sandbox_spec spec;
  supervisor_record record;
  cgroups groups;
  std::optional<launched> inner;
  asio::io_context io{1};
  std::unique_ptr<place> where;
  init_place* inside_place = nullptr;  // of where, unless the tier is none
  direct_place* outside_place = nullptr;
  wire::service service;
  std::unique_ptr<wire::server> server;
  std::unique_ptr<asio::signal_set> signals;
  std::string paused;  // how, while it is paused
  bool ending = false;

  bool limited_by_groups(const char* controller) const { return groups.enforces(controller); }

  void note_end(const std::string& why) {
    record.state = "ended";
    record.why = why;
    (void)write_record(record_file(spec), record);
  }

  void inner_ended() {
    if (ending) return;
    // A killed PID 1 or bubblewrap took everything along. The socket goes on: spools can still be read to
    // their end.
    note_end(groups.use().out_of_memory > 0 ? "out of memory: the kernel killed it at its memory limit"
                                            : "its PID 1 ended");
  }

  json report() const {
    const auto use = groups.use();
    json out_use = {{"out_of_memory", use.out_of_memory}};
    if (use.memory_bytes) out_use["memory_bytes"] = *use.memory_bytes;
    if (use.processes) out_use["processes"] = *use.processes;
    if (use.cpu_us) out_use["cpu_us"] = *use.cpu_us;
    struct statvfs disk {};
    if (::statvfs(spec.work().c_str(), &disk) == 0)
      out_use["disk_free_bytes"] = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    json out = {{"nonce", spec.nonce},
                {"state", state()},
                {"tier", to_text(spec.level)},
                {"use", std::move(out_use)}};
    if (record.state == "ended") out["why"] = record.why;
    if (!paused.empty()) out["how"] = paused;
    return out;
  }

  std::string state() const {
    return record.state == "ended" ? "ended" : paused.empty() ? "running" : "paused";
  }

  asio::awaitable<wire::response> pause() {
    if (record.state == "ended")
      co_return conflict(409, "ended", "pause: the sandbox has ended: " + record.why);
    if (!inside_place)
      co_return conflict(501, "unsupported", "pause: the tier none cannot stop everything that it started");
    if (paused.empty()) {
      // Nothing is asked of the inside from here on: a frozen PID 1 does not answer.
      inside_place->set_paused(true);
      if (groups.can_freeze() && groups.freeze(true).ok()) {
        paused = "cgroup";
      } else if (auto stopped = co_await inside_place->stop_all(); stopped) {
        paused = "signal";
      } else {
        (void)groups.freeze(false);
        inside_place->set_paused(false);
        co_return conflict(500, "broken", "pause: " + stopped.error().text);
      }
    }
    json body = {{"state", "paused"}, {"how", paused}};
    co_return answer(200, body);
  }

  asio::awaitable<wire::response> resume() {
    if (record.state == "ended")
      co_return conflict(409, "ended", "resume: the sandbox has ended: " + record.why);
    std::string how = paused;
    if (!paused.empty()) {
      if (paused == "cgroup") {
        if (auto thawed = groups.freeze(false); !thawed)
          co_return conflict(500, "broken", "resume: " + thawed.error().text);
      } else if (auto going = co_await inside_place->continue_all(); !going) {
        co_return conflict(500, "broken", "resume: " + going.error().text);
      }
      paused.clear();
      inside_place->set_paused(false);
    }
    json body = {{"state", "running"}};
    if (!how.empty()) body["how"] = how;
    co_return answer(200, body);
  }

  asio::awaitable<void> handle(wire::exchange& x) {
    const auto& request = x.request();
    // The socket's folder and mode keep others out; the kernel's word on who calls does so once more.
    if (!request.peer.uid || *request.peer.uid != ::geteuid()) {
      auto refused = conflict(403, "forbidden", "this socket answers the uid of its supervisor alone");
      co_await x.reply(std::move(refused));
      co_return;
    }
    if (request.path == "/v1/sandbox" && (request.method == "GET" || request.method == "HEAD")) {
      auto out = answer(200, report());
      co_await x.reply(std::move(out));
    } else if (request.path == "/v1/sandbox/pause" && request.method == "POST") {
      auto out = co_await pause();
      co_await x.reply(std::move(out));
    } else if (request.path == "/v1/sandbox/resume" && request.method == "POST") {
      auto out = co_await resume();
      co_await x.reply(std::move(out));
    } else if (request.path == "/v1/sandbox/end" && request.method == "POST") {
      auto out = wire::response::empty(202);
      co_await x.reply(std::move(out));
      asio::post(io, [this] { end(); });
    } else if (service.handle) {
      co_await service.handle(x);
    } else {
      auto out = conflict(404, "not_found", "endpoint not found");
      co_await x.reply(std::move(out));
    }
  }

  void end() {
    if (ending) return;
    ending = true;
    if (!paused.empty() && paused == "cgroup") (void)groups.freeze(false);
    if (outside_place) outside_place->kill_everything();
    for (const auto* who : {&record.bwrap, &record.init})
      if (who->pid > 0) (void)kill_and_wait(*who, std::chrono::seconds(5));
    (void)groups.kill();
    (void)groups.remove();
    note_end("it was told to end");
    asio::co_spawn(
        io,
        [this]() -> asio::awaitable<void> {
          co_await server->stop(stop_limit);
          io.stop();
        },
        asio::detached);
  }

  void reap_children() {
    // In the tier none the place itself reaps what it started.
    if (outside_place) return;
    signals->async_wait([this](const boost::system::error_code& ec, int number) {
      if (ec) return;
      if (number == SIGTERM || number == SIGINT) {
        end();
      } else {
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
      }
      reap_children();
    });
  }
};

supervisor::supervisor(sandbox_spec spec, supervisor_record record, cgroups groups,
                       std::optional<launched> inner)
    : impl_(std::make_unique<impl>(std::move(spec), std::move(record), std::move(groups), std::move(inner))) {
}

supervisor::~supervisor() = default;

int supervisor::run(const make_service& service, std::function<void(const os_error*)> ready) {
  auto& s = *impl_;
  const wire::executor ex = s.io.get_executor();
  auto give_up = [&](const os_error& e) {
    s.ending = true;
    for (const auto* who : {&s.record.bwrap, &s.record.init})
      if (who->pid > 0) (void)kill_and_wait(*who, std::chrono::seconds(5));
    (void)s.groups.kill();
    (void)s.groups.remove();
    ready(&e);
    return 1;
  };

  if (s.inner) {
    auto made = std::make_unique<init_place>(ex, std::move(s.inner->control), inner_environment(s.spec));
    s.inside_place = made.get();
    s.where = std::move(made);
    s.inside_place->on_end([&s] { s.inner_ended(); });
    // Where a control group holds the memory, the weaker limit per process would only get in the way.
    auto for_init = s.spec;
    if (s.limited_by_groups("memory")) for_init.limits.memory_bytes = 0;
    outcome<done> begun = os_error{EIO, "the sandbox did not begin"};
    asio::co_spawn(
        ex,
        [&]() -> asio::awaitable<void> {
          begun = co_await s.inside_place->begin(for_init);
          s.io.stop();
        },
        asio::detached);
    s.io.run();
    s.io.restart();
    if (!begun) return give_up(begun.error());
  } else {
    if (auto set = set_process_limits(s.spec.limits); !set) return give_up(set.error());
    direct_place_options options;
    options.root = s.spec.folder.string();
    options.home = s.spec.home().string();
    options.directory = s.spec.work().string();
    options.environment = outer_environment(s.spec);
    std::error_code ec;
    std::filesystem::create_directory(s.spec.work(), ec);
    std::filesystem::create_directory(s.spec.home(), ec);
    if (auto linked = link_programs(s.spec); !linked) return give_up(linked.error());
    auto made = direct_place::make(ex, std::move(options));
    if (!made) return give_up(made.error());
    s.outside_place = made->get();
    s.where = std::move(*made);
  }

  if (s.outside_place) {
    s.signals = std::make_unique<asio::signal_set>(s.io, SIGTERM, SIGINT);
    s.signals->async_wait([&s](const boost::system::error_code& ec, int) {
      if (!ec) s.end();
    });
  } else {
    s.signals = std::make_unique<asio::signal_set>(s.io, SIGTERM, SIGINT, SIGCHLD);
    s.reap_children();
  }

  std::filesystem::create_directory(s.spec.run() / "spool");
  if (service) {
    try {
      s.service = service(ex, *s.where, s.spec.run() / "spool");
    } catch (const std::exception& e) {
      return give_up({EIO, e.what()});
    }
  }
  wire::service mine = s.service;
  mine.handle = [&s](wire::exchange& x) { return s.handle(x); };
  auto options = server_options_for_api();
  options.connections = 256;
  s.server = std::make_unique<wire::server>(ex, std::move(mine), options);
  auto listening = s.server->listen_unix(s.spec.socket.string(), 0600);
  if (!listening) return give_up({EADDRINUSE, listening.error().text});

  if (s.record.state != "ended") s.record.state = "running";
  if (auto wrote = write_record(record_file(s.spec), s.record); !wrote) return give_up(wrote.error());
  ready(nullptr);
  s.io.run();
  s.server.reset();
  // The API's coroutines hold references into the place: the process ends here rather than taking them apart.
  ::_exit(0);
}

}  // namespace troupe::sandboxd
