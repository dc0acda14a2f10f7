#include "sandboxd/connection.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "sandboxd/contract.h"
#include "sandboxd/process_tree.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace asio = wire::asio;
namespace {

using nlohmann::json;

constexpr std::size_t max_error_tail_bytes = 8 * 1024;

// After the agent's own end, for what still stands in its pipes while its descendants hold them open.
constexpr auto drain_limit = std::chrono::milliseconds(200);

// After its tree was killed: who still holds its stdout got away from the tree, and is not waited for.
constexpr auto escaped_limit = std::chrono::seconds(1);

// Between attempts to write to a spool whose disk is full.
constexpr auto spool_retry = std::chrono::milliseconds(250);

constexpr const char* broken_pipe = "failed writing to agent stdin: Broken pipe (os error 32)";

}  // namespace

connection::connection(wire::executor ex, place& where, std::string folder, identity who,
                       connection_options options)
    : ex_(ex), place_(where), folder_(std::move(folder)), who_(std::move(who)), options_(options) {}

outcome<done> connection::open_files() {
  auto opened = sandboxd::spool::open(folder_ + "/spool", options_.spool);
  if (!opened) return opened.error();
  spool_ = std::move(opened).value();
  auto keys = key_ledger::open(folder_ + "/keys", options_.keys);
  if (!keys) return keys.error();
  keys_ = std::move(keys).value();
  release_keys();
  return done{};
}

outcome<done> connection::write_identity() const {
  json about;
  about["serverId"] = who_.id;
  about["agent"] = who_.agent;
  about["createdAtMs"] = who_.created_ms;
  auto path = folder_ + "/about.json";
  std::ofstream file(path);
  file << about.dump();
  file.close();
  if (!file) return os_error{EIO, "write " + path};
  return done{};
}

outcome<std::shared_ptr<connection>> connection::create(wire::executor ex, place& where, std::string folder,
                                                        identity who, connection_options options) {
  if (::mkdir(folder.c_str(), 0700) != 0) return os_error{errno, "make the folder " + folder};
  std::shared_ptr<connection> made(new connection(ex, where, std::move(folder), std::move(who), options));
  auto opened = made->open_files();
  if (opened) opened = made->write_identity();
  if (!opened) {
    made->remove_files();
    return opened.error();
  }
  return made;
}

outcome<std::shared_ptr<connection>> connection::recover(wire::executor ex, place& where, std::string folder,
                                                         connection_options options) {
  std::ifstream file(folder + "/about.json");
  auto about = json::parse(file, nullptr, false);
  if (!about.is_object() || !about.contains("serverId") || !about.contains("agent"))
    return os_error{EINVAL, "read " + folder + "/about.json"};
  identity who{about.value("serverId", ""), about.value("agent", ""),
               about.value("createdAtMs", std::int64_t(0))};
  std::shared_ptr<connection> made(new connection(ex, where, std::move(folder), std::move(who), options));
  auto opened = made->open_files();
  if (!opened) return opened.error();
  made->phase_ = phase::ended;
  made->everything_ended_ = true;
  // Its agent ended with the daemon. A reader has to find that out, once.
  auto& spool = *made->spool_;
  bool said = false;
  if (spool.last() > 0) {
    sandboxd::spool::cursor last(spool, spool.last() - 1);
    auto record = last.next();
    said = record.ok() && record.value() && look_at(record.value()->bytes).method == "_adapter/agent_exited";
  }
  if (!said) {
    auto kept = spool.append(0, now_ms(), agent_exited(std::nullopt));
    if (!kept) return kept.error();
  }
  return made;
}

void connection::remove_files() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void connection::changed() {
  for (auto& [number, who] : waiting_) who.raise();
}

asio::awaitable<bool> connection::change(wire::time_point until) {
  wire::signal mine(ex_);
  auto number = next_waiting_++;
  waiting_.emplace(number, mine);
  bool raised = co_await mine.wait(until);
  waiting_.erase(number);
  co_return raised;
}

asio::awaitable<outcome<done>> connection::start(agent_start how) {
  auto self = shared_from_this();
  if (how.argv.empty()) {
    built_in_ = true;
    phase_ = phase::running;
    changed();
    co_return done{};
  }
  process_spec spec;
  spec.argv = std::move(how.argv);
  spec.environment = std::move(how.environment);
  spec.directory = std::move(how.directory);
  auto made = co_await place_.spawn(std::move(spec));
  if (!made) {
    give_up();
    co_return made.error();
  }
  process_ = made->id;
  pid_ = made->pid;
  input_ = byte_sink::make(ex_, std::move(made->input));
  output_ = std::make_shared<byte_source>(ex_, std::move(made->output));
  errors_ = std::make_shared<byte_source>(ex_, std::move(made->error));
  output_ended_ = errors_ended_ = false;
  phase_ = phase::running;
  asio::co_spawn(ex_, read_output(output_), asio::detached);
  asio::co_spawn(ex_, read_errors(errors_), asio::detached);
  asio::co_spawn(ex_, watch_exit(), asio::detached);
  changed();
  co_return done{};
}

void connection::give_up() {
  phase_ = phase::failed;
  everything_ended_ = true;
  changed();
}

asio::awaitable<bool> connection::started() {
  auto self = shared_from_this();
  while (phase_ == phase::starting) co_await change(wire::time_point::max());
  co_return phase_ != phase::failed;
}

// The number is given and the bytes are on disk before anybody sees the line. A full disk holds the agent up
// until there is room or the connection ends. False: it ended first.
asio::awaitable<bool> connection::keep(std::string line) {
  while (!spool_->append(0, now_ms(), line)) {
    co_await wire::sleep_for(spool_retry);
    if (closed_) co_return false;
  }
  co_return true;
}

asio::awaitable<void> connection::take(std::string line, bool whole) {
  if (!whole) {
    auto fault = "a line of more than " + std::to_string(max_line_bytes) + " bytes";
    co_await keep(invalid_stdout(fault, line));
    co_return;
  }
  auto what = look_at(line);
  if (!what.fault.empty()) {
    co_await keep(invalid_stdout(what.fault, line));
    co_return;
  }
  auto cancelled = what.is_response() ? pending_.find(*what.id) : pending_.end();
  if (cancelled != pending_.end() && cancelled->second->cancelled) {
    const auto prompt = cancelled->second;
    co_await end_cancelled(*prompt);
  }
  if (!co_await keep(line)) co_return;
  if (!what.is_response()) co_return;
  auto found = pending_.find(*what.id);
  if (found == pending_.end()) co_return;
  auto waits = found->second;
  pending_.erase(found);
  answer given;
  given.response = wire::response::json(200, std::move(line));
  given.position = spool_->last();
  waits->result = std::move(given);
  waits->settled.raise();
}

// Some agents answer a cancelled prompt and leave its command running. The answer is passed on when the
// commands are gone. With another prompt at work nobody could say whose they are.
asio::awaitable<void> connection::end_cancelled(const pending& prompt) {
  std::size_t prompts = 0;
  for (const auto& [id, one] : pending_) prompts += one->prompt ? 1 : 0;
  if (prompts == 1) co_await place_.end_commands(process_, prompt.began);
}

asio::awaitable<void> connection::read_output(std::shared_ptr<byte_source> from) {
  auto self = shared_from_this();
  line_splitter splitter;
  std::vector<std::pair<std::string, bool>> lines;
  auto collect = [&lines](std::string_view line, bool whole) { lines.emplace_back(line, whole); };
  wire::signal room(ex_);
  for (bool more = true; more && !closed_;) {
    auto bytes = co_await from->read();
    more = !bytes.empty();
    if (more)
      splitter.feed(bytes, collect);
    else
      splitter.finish(collect);
    bytes = {};
    auto taken = std::exchange(lines, {});
    for (auto& [line, whole] : taken) co_await take(std::move(line), whole);
    // Not reading is what slows the agent down: its pipe fills, and it waits in its write.
    auto watcher = spool_->watch(room);
    while (spool_->full() && !closed_) co_await room.wait();
    spool_->unwatch(watcher);
  }
  output_ended_ = true;
  changed();
}

asio::awaitable<void> connection::read_errors(std::shared_ptr<byte_source> from) {
  auto self = shared_from_this();
  for (;;) {
    auto bytes = co_await from->read();
    if (bytes.empty()) break;
    error_tail_ += bytes;
    if (error_tail_.size() > max_error_tail_bytes)
      error_tail_.erase(0, error_tail_.size() - max_error_tail_bytes);
  }
  errors_ended_ = true;
  changed();
}

asio::awaitable<void> connection::watch_exit() {
  auto self = shared_from_this();
  how_ = co_await place_.wait(process_);
  // A response may still stand in the pipe; pending requests get it rather than an error, if it comes at
  // once. And an error shall have its last words.
  auto until = wire::clock::now() + drain_limit;
  while (!(output_ended_ && errors_ended_) && !spool_->full() && wire::clock::now() < until)
    co_await change(until);
  phase_ = phase::ended;
  fail_pending();
  changed();
  input_->cut();
  // An agent's commands lead sessions of their own and would live on, holding its pipes.
  co_await place_.signal(process_, SIGKILL, reach::tree);
  place_.forget(process_);
  while (!output_ended_ && !closed_) {
    auto before = spool_->last();
    auto quiet = wire::clock::now() + escaped_limit;
    bool moved = co_await change(quiet);
    if (!moved && before == spool_->last() && !spool_->full()) break;
  }
  output_->close();
  errors_->close();
  if (!closed_) co_await keep(agent_exited(how_.code));
  everything_ended_ = true;
  changed();
}

answer connection::exited_answer() const {
  answer out;
  out.response = contract::agent_process_exited(who_.agent, how_.code, valid_utf8(error_tail_));
  out.position = std::max<std::uint64_t>(1, spool_->last());
  return out;
}

void connection::fail_pending() {
  for (auto& [id, waits] : std::exchange(pending_, {})) {
    waits->result = exited_answer();
    waits->settled.raise();
  }
}

asio::awaitable<outcome<done>> connection::put(std::string line) {
  auto input = input_;
  line += '\n';
  co_return co_await input->write(std::move(line));
}

asio::awaitable<answer> connection::request(std::string line, rpc_message what) {
  auto self = shared_from_this();
  answer refused;
  refused.remember = false;
  if (phase_ != phase::running || closed_) {
    refused.response = contract::stream_error(broken_pipe);
    co_return refused;
  }
  auto id = *what.id;
  if (pending_.count(id)) {
    refused.response = contract::conflict("a request with the id " + id + " is still going on");
    co_return refused;
  }
  if (pending_.size() >= max_pending_requests) {
    refused.response =
        contract::busy("the agent has " + std::to_string(pending_.size()) + " requests to answer");
    co_return refused;
  }
  auto mine = std::make_shared<pending>(ex_);
  mine->prompt = what.method == "session/prompt";
  mine->began = start_clock();
  pending_.emplace(id, mine);
  if (built_in_) {
    echo(line, what);
  } else {
    auto written = co_await put(std::move(line));
    if (!written && !mine->result) {
      pending_.erase(id);
      if (written.error().number == EAGAIN)
        refused.response = contract::busy("the agent does not read its stdin");
      else
        refused.response = contract::stream_error(broken_pipe);
      co_return refused;
    }
  }
  bool limited = options_.request_limit.count() > 0 && what.method != "session/prompt";
  auto deadline = limited ? wire::clock::now() + options_.request_limit : wire::time_point::max();
  while (!mine->result) {
    if (co_await mine->settled.wait(deadline) || mine->result) continue;
    auto found = pending_.find(id);
    if (found != pending_.end() && found->second == mine) pending_.erase(found);
    answer late;
    late.response = contract::timeout("the agent did not answer " + what.method + " in " +
                                      std::to_string(options_.request_limit.count()) + " ms");
    late.position = std::max<std::uint64_t>(1, spool_->last());
    co_return late;
  }
  co_return std::move(*mine->result);
}

asio::awaitable<answer> connection::notify(std::string line) {
  auto self = shared_from_this();
  answer out;
  out.remember = false;
  if (phase_ != phase::running || closed_) {
    out.response = contract::stream_error(broken_pipe);
    co_return out;
  }
  const auto what = look_at(line);
  if (what.method == "session/cancel")
    for (auto& [id, one] : pending_) one->cancelled = one->prompt;
  if (built_in_) {
    echo(line, what);
  } else {
    auto written = co_await put(std::move(line));
    if (!written) {
      if (written.error().number == EAGAIN)
        out.response = contract::busy("the agent does not read its stdin");
      else
        out.response = contract::stream_error(broken_pipe);
      co_return out;
    }
  }
  out.response = wire::response::empty(202);
  out.remember = true;
  out.position = std::max<std::uint64_t>(1, spool_->last());
  co_return out;
}

// The contract's mock agent.
void connection::echo(const std::string& line, const rpc_message& what) {
  auto message = json::parse(line, nullptr, false);
  std::vector<json> out(1);
  out[0]["jsonrpc"] = "2.0";
  out[0]["method"] = "mock/echo";
  out[0]["params"]["message"] = message;
  json second;
  second["jsonrpc"] = "2.0";
  if (what.is_request()) {
    second["id"] = message["id"];
    second["result"]["echoed"] = message;
    out.push_back(std::move(second));
  } else if (what.is_response()) {
    second["method"] = "mock/client_response";
    second["params"]["id"] = message["id"];
    second["params"]["result"] = message.contains("result") ? message["result"] : json();
    second["params"]["error"] = message.contains("error") ? message["error"] : json();
    out.push_back(std::move(second));
  }
  auto self = shared_from_this();
  asio::co_spawn(
      ex_,
      [self, out]() -> asio::awaitable<void> {
        for (auto& m : out) co_await self->take(m.dump(), true);
      },
      asio::detached);
}

asio::awaitable<void> connection::end() {
  auto self = shared_from_this();
  co_await started();
  bool first = !closed_;
  closed_ = true;
  spool_->wake();
  if (built_in_ && phase_ == phase::running) {
    phase_ = phase::ended;
    everything_ended_ = true;
    fail_pending();
    changed();
  }
  if (first && phase_ == phase::running) {
    input_->close();
    auto until = wire::clock::now() + options_.close_grace;
    while (phase_ == phase::running && wire::clock::now() < until) co_await change(until);
    if (phase_ == phase::running) co_await place_.signal(process_, SIGTERM, reach::process);
    until = wire::clock::now() + options_.term_grace;
    while (phase_ == phase::running && wire::clock::now() < until) co_await change(until);
    // The tree as well when the agent left in time: watch_exit() sees to it then.
    if (phase_ == phase::running) co_await place_.signal(process_, SIGKILL, reach::tree);
  }
  changed();
  auto last = wire::clock::now() + std::chrono::seconds(5);
  while (!everything_ended_ && wire::clock::now() < last) co_await change(last);
}

outcome<done> connection::acknowledge(std::uint64_t sequence) {
  auto taken = spool_->acknowledge(sequence);
  release_keys();
  return taken;
}

// Without a consumer that acknowledges, nobody will say that an outcome was noted.
void connection::release_keys() {
  keys_->release_to(spool_->has_consumer() ? spool_->acknowledged() : UINT64_MAX);
}

std::string connection::status() const {
  json out;
  out["serverId"] = who_.id;
  out["agent"] = who_.agent;
  out["createdAtMs"] = who_.created_ms;
  out["running"] = phase_ == phase::running || phase_ == phase::starting;
  if (phase_ == phase::running && pid_) out["pid"] = pid_;
  if (phase_ == phase::ended) out["exitCode"] = how_.code ? json(*how_.code) : json();
  out["first"] = spool_->first();
  out["last"] = spool_->last();
  if (spool_->has_consumer()) out["acknowledged"] = spool_->acknowledged();
  out["heldBytes"] = spool_->held_bytes();
  out["full"] = spool_->full();
  out["pending"] = pending_.size();
  out["stderr"] = valid_utf8(error_tail_);
  return out.dump();
}

}  // namespace troupe::sandboxd
