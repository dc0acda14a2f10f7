#include "sandboxd/process.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace asio = wire::asio;
namespace {

using nlohmann::json;

constexpr auto spool_retry = std::chrono::milliseconds(250);

}  // namespace

const char* stream_name(stream_kind kind) {
  switch (kind) {
    case stream_kind::output:
      return "stdout";
    case stream_kind::error:
      return "stderr";
    default:
      return "pty";
  }
}

spool_options log_options(std::uint64_t log_bytes) {
  spool_options out;
  out.capacity_bytes = log_bytes;
  out.ring_records = 0;
  out.segment_bytes = std::clamp<std::uint64_t>(log_bytes / 8, 64 * 1024, 4 << 20);
  return out;
}

outcome<done> process::open_spool(std::uint64_t log_bytes) {
  auto opened = sandboxd::spool::open(folder_ + "/spool", log_options(log_bytes));
  if (!opened) return opened.error();
  spool_ = std::move(opened).value();
  return done{};
}

asio::awaitable<outcome<std::shared_ptr<process>>> process::start(
    wire::executor ex, place& where, std::string folder, description what,
    std::vector<std::pair<std::string, std::string>> environment, std::uint64_t log_bytes) {
  if (::mkdir(folder.c_str(), 0700) != 0) co_return os_error{errno, "make the folder " + folder};
  std::shared_ptr<process> made(new process(ex, where, std::move(folder), std::move(what)));
  auto opened = made->open_spool(log_bytes);
  if (!opened) {
    made->remove();
    co_return opened.error();
  }
  process_spec spec;
  spec.argv.push_back(made->what_.command);
  spec.argv.insert(spec.argv.end(), made->what_.arguments.begin(), made->what_.arguments.end());
  spec.environment = std::move(environment);
  if (made->what_.terminal) {
    bool named = std::any_of(spec.environment.begin(), spec.environment.end(),
                             [](auto& variable) { return variable.first == "TERM"; });
    if (!named && !where.environment("TERM")) spec.environment.emplace_back("TERM", "xterm-256color");
  }
  spec.directory = made->what_.directory;
  spec.terminal = made->what_.terminal;
  auto started = co_await where.spawn(std::move(spec));
  if (!started) {
    made->remove();
    co_return started.error();
  }
  made->process_ = started->id;
  made->pid_ = started->pid;
  made->running_ = true;
  auto follow = [&](descriptor from, stream_kind kind) {
    auto source = std::make_shared<byte_source>(ex, std::move(from));
    made->sources_.push_back(source);
    ++made->open_streams_;
    asio::co_spawn(ex, made->read(source, kind), asio::detached);
  };
  if (started->terminal) {
    auto fd = started->terminal.get();
    made->window_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    made->input_ = byte_sink::make(ex, descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 3)));
    follow(std::move(started->terminal), stream_kind::terminal);
  } else {
    made->input_ = byte_sink::make(ex, std::move(started->input));
    follow(std::move(started->output), stream_kind::output);
    follow(std::move(started->error), stream_kind::error);
  }
  made->write_note();
  asio::co_spawn(ex, made->watch_exit(), asio::detached);
  co_return made;
}

outcome<std::shared_ptr<process>> process::recover(wire::executor ex, place& where, std::string folder,
                                                   std::uint64_t log_bytes) {
  std::ifstream file(folder + "/about.json");
  auto note = json::parse(file, nullptr, false);
  if (!note.is_object() || !note.contains("id")) return os_error{EINVAL, "read " + folder + "/about.json"};
  description what;
  what.id = note.value("id", "");
  what.command = note.value("command", "");
  what.arguments = note.value("args", std::vector<std::string>());
  what.directory = note.value("cwd", "");
  what.terminal = note.value("tty", false);
  what.interactive = note.value("interactive", false);
  what.owner = note.value("owner", "user");
  what.created_ms = note.value("createdAtMs", std::int64_t(0));
  std::shared_ptr<process> made(new process(ex, where, std::move(folder), std::move(what)));
  if (note.contains("exitCode")) made->how_.code = note["exitCode"].get<int>();
  made->exited_ms_ = note.value("exitedAtMs", now_ms());
  auto opened = made->open_spool(log_bytes);
  if (!opened) return opened.error();
  made->write_note();
  return made;
}

void process::write_note() const {
  std::ofstream file(folder_ + "/about.json");
  file << info();
}

asio::awaitable<void> process::read(std::shared_ptr<byte_source> from, stream_kind kind) {
  auto self = shared_from_this();
  wire::signal room(ex_);
  while (!removed_) {
    auto bytes = co_await from->read();
    if (bytes.empty()) break;
    while (!removed_ && !spool_->append(static_cast<std::uint32_t>(kind), now_ms(), bytes))
      co_await wire::sleep_for(spool_retry);
    auto watcher = spool_->watch(room);
    while (spool_->full() && !removed_) co_await room.wait();
    spool_->unwatch(watcher);
  }
  --open_streams_;
  spool_->wake();
}

asio::awaitable<void> process::watch_exit() {
  auto self = shared_from_this();
  how_ = co_await place_.wait(process_);
  running_ = false;
  exited_ms_ = now_ms();
  input_->cut();
  write_note();
  spool_->wake();
}

asio::awaitable<outcome<done>> process::input(std::string bytes) {
  auto sink = input_;
  if (!running_ || !sink) co_return os_error{EPIPE, "write to a process that has ended"};
  co_return co_await sink->write(std::move(bytes));
}

asio::awaitable<outcome<done>> process::signal(int number) {
  auto self = shared_from_this();
  if (!running_ || removed_) co_return os_error{ESRCH, "signal a process that has ended"};
  co_return co_await place_.signal(process_, number, reach::tree);
}

asio::awaitable<bool> process::ended(wire::time_point until) {
  auto self = shared_from_this();
  wire::signal change(ex_);
  auto watcher = spool_->watch(change);
  while (running_)
    if (!co_await change.wait(until)) break;
  spool_->unwatch(watcher);
  co_return !running_;
}

outcome<done> process::resize(std::uint16_t columns, std::uint16_t rows) {
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  if (::ioctl(window_.get(), TIOCSWINSZ, &size) != 0) return os_error{errno, "resize the terminal"};
  return done{};
}

void process::hang_up() {
  for (auto& source : sources_) source->close();
}

void process::remove() {
  removed_ = true;
  hang_up();
  sources_.clear();
  if (input_) input_->cut();
  window_.reset();
  if (process_) place_.forget(process_);
  if (spool_) spool_->wake();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string process::info() const {
  json out;
  out["id"] = what_.id;
  out["command"] = what_.command;
  out["args"] = what_.arguments;
  if (!what_.directory.empty()) out["cwd"] = what_.directory;
  out["tty"] = what_.terminal;
  out["interactive"] = what_.interactive;
  out["owner"] = what_.owner;
  out["status"] = running_ ? "running" : "exited";
  if (running_) out["pid"] = pid_;
  if (!running_ && how_.code) out["exitCode"] = *how_.code;
  out["createdAtMs"] = what_.created_ms;
  if (!running_) out["exitedAtMs"] = exited_ms_;
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace troupe::sandboxd
