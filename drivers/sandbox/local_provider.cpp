#include "drivers/sandbox/local_provider.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>

#include <nlohmann/json.hpp>

#include "drivers/sandbox/network_door.h"
#include "drivers/sandbox/run_sandboxd.h"
#include "drivers/sandbox/sandbox_items.h"
#include "drivers/sandbox/turns.h"
#include "runtime/key.h"

namespace troupe::drivers {

namespace asio = wire::asio;
namespace fs = std::filesystem;
using nlohmann::json;

failed unsupported(std::string detail) {
  return {{.status = 422, .code = "unsupported", .detail = std::move(detail)}, false};
}
failed broken(std::string detail) {
  return {{.status = 502, .code = "broken", .detail = std::move(detail)}, false};
}

namespace {

constexpr auto make_limit = std::chrono::seconds(30);
constexpr auto reap_limit = std::chrono::minutes(5);  // a large tree takes its time
constexpr auto ask_limit = std::chrono::seconds(10);
constexpr std::size_t socket_path_bytes = 107;
constexpr std::string_view prefix = "local:";

struct parts {
  std::string sandbox;
  std::string nonce;
};

// "local:KEY#NONCE"
std::optional<parts> split(const std::string& handle) {
  if (!handle.starts_with(prefix)) return {};
  const auto hash = handle.rfind('#');
  if (hash == std::string::npos) return {};
  return parts{handle.substr(prefix.size(), hash - prefix.size()), handle.substr(hash + 1)};
}

// Names of sockets and control groups: 32 hexadecimal digits that stand for this life of this sandbox.
std::string short_name(const parts& p) {
  std::string out;
  for (std::uint64_t seed : {0xcbf29ce484222325ull, 0x84222325cbf29ce4ull}) {
    std::uint64_t hash = seed;
    for (unsigned char c : p.sandbox + '\n' + p.nonce) hash = (hash ^ c) * 0x100000001b3ull;
    char text[17];
    snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
    out += text;
  }
  return out;
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// On the disk before it returns, and whole or not at all.
attempt<bool> write_file(const fs::path& file, const std::string& text) {
  const auto next = file.string() + ".next";
  const int fd = ::open(next.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  const bool fine = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                    ::fsync(fd) == 0 && ::rename(next.c_str(), file.c_str()) == 0;
  const int number = errno;
  if (fd >= 0) ::close(fd);
  if (fine) return true;
  const auto why = "writing " + file.string() + ": " + strerror(number);
  if (number == ENOSPC || number == EDQUOT) return quota(why);
  return transport(why);
}

failed from_sandboxd(const std::string& what, const json& answer) {
  const int number = answer.value("errno", 0);
  auto text = what + ": " + answer.value("text", std::string("no reason given"));
  if (const char* name = number ? strerrorname_np(number) : nullptr) text += std::string(" (") + name + ")";
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EAGAIN:
    case ENOMEM:
      return quota(text);
    case ETIMEDOUT:
      return timed_out(text);
    case EBUSY:
      return transport(text);
    case ENOTSUP:
      return unsupported(text);
    default:
      return broken(text);
  }
}

// The ledger of one sandbox, and its way out.
struct outlet {
  std::shared_ptr<network_door> door;
  std::mutex mutex;
  std::deque<std::pair<std::uint64_t, egress_record>> kept;
  std::uint64_t last = 0;
};

class provider_on_this_machine final : public local_provider {
 public:
  provider_on_this_machine(wire::executor ex, wire::client& http, local_options o, json probes)
      : ex_(std::move(ex)),
        http_(http),
        options_(std::move(o)),
        probes_(std::move(probes)),
        tier_(probes_.value("tier", "none")) {}

  const std::string& tier() const override { return tier_; }
  const json& probes() const override { return probes_; }

  std::string handle_of(const std::string& sandbox, const std::string& nonce) const override {
    return std::string(prefix) + sandbox + "#" + nonce;
  }

  later<sandbox_made> create(sandbox_request what) override {
    const auto begun = wire::clock::now();
    const auto handle = handle_of(what.sandbox, what.nonce);
    const auto about = "making sandbox " + what.sandbox;
    if (!key::parse(what.sandbox) || what.nonce.empty() || what.nonce.find('#') != std::string::npos)
      co_return invalid(about + ": the key or the nonce is not one");
    const parts p{what.sandbox, what.nonce};
    // What the request names itself wins.
    for (const auto& forward : options_.forwards)
      if (std::ranges::find(what.forwards, forward.first, [](const auto& f) { return f.first; }) ==
          what.forwards.end())
        what.forwards.push_back(forward);
    auto turn = co_await turns_.take(what.sandbox);

    const bool bare = tier_ == "none";
    if (bare && !(options_.unsafe_no_isolation && what.unsafe_no_isolation))
      co_return unsupported(
          about + ": this machine isolates nothing (`sandboxd probe` says why); to run agents with the " +
          "server's own rights, start it with --unsafe-no-isolation and ask for that");
    auto settled = settle(what.requirements, options_.limits, probes_, bare);
    if (!settled) co_return settled.error();
    sandbox_made out;
    out.handle = handle;
    out.tier = tier_;
    out.items = settled->items;
    for (const auto& [port, to] : what.forwards)
      out.items["network"].effective +=
          ", 127.0.0.1:" + std::to_string(port) + " to " + to.host + ":" + std::to_string(to.port);
    out.workspace = bare ? (folder(p) / "work").string() : "/workspace";

    if (const auto other = read_intent(p.sandbox); other && other->value("nonce", "") != short_name(p))
      co_return broken(about + ": an earlier life of it is still there; destroy that one first");
    auto look = co_await ask(p);
    if (look && look->value("state", "") != "ended") {
      if (auto opened = open_outlet(handle, p); !opened) co_return opened.error();
      out.adopted = true;
      out.steps.emplace_back("adopt", elapsed(begun));
      co_return out;
    }
    if (auto free = claim_uid(what, p); !free) co_return free.error();
    auto spec = spec_of(what, p, settled->limits);
    if (!spec) co_return spec.error();
    std::error_code ec;
    fs::create_directories(folder(p) / "run", ec);
    fs::create_directories(folder(p) / "net", ec);
    if (ec) co_return transport(about + ": making " + (folder(p) / "run").string() + ": " + ec.message());
    // The intent is on the disk before anything of it is in the world: what a crash leaves is found by it.
    if (auto wrote = write_file(intent(p), spec->dump(2)); !wrote) co_return wrote.error();
    if (fs::exists(folder(p) / "run" / "supervisor.json", ec)) {
      auto cleared = co_await reap(p, false);
      if (!cleared) co_return cleared.error();
    }
    fs::remove(folder(p) / "run" / "stopped", ec);
    if (auto opened = open_outlet(handle, p); !opened) co_return opened.error();
    out.steps.emplace_back("prepare", elapsed(begun));

    const auto starting = wire::clock::now();
    std::vector<std::string> argv = {options_.sandboxd, "supervise", "--spec", intent(p).string()};
    if (bare) argv.push_back("--unsafe-no-isolation");
    auto ex = co_await asio::this_coro::executor;
    auto answer = co_await run_sandboxd(ex, std::move(argv), make_limit);
    if (!answer || !answer->value("ok", false)) {
      if (answer && answer->value("errno", 0) == EALREADY) {
        if (auto again = co_await ask(p)) co_return out;
      }
      // Nothing half-made stays: the next attempt begins from files alone.
      auto cleared = co_await reap(p, false);
      if (!answer) co_return answer.error();
      co_return from_sandboxd(about, *answer);
    }
    out.steps.emplace_back("start", elapsed(starting));
    say("sandbox " + what.sandbox + " runs");
    co_return out;
  }

  later<sandbox_paused> pause(std::string handle) override { return change(std::move(handle), "pause"); }
  later<sandbox_paused> resume(std::string handle) override { return change(std::move(handle), "resume"); }

  later<bool> kill(std::string handle) override {
    const auto p = split(handle);
    if (!p || !is_mine(*p)) co_return not_found("ending " + handle + ": there is no such sandbox");
    auto turn = co_await turns_.take(p->sandbox);
    close_outlet(handle);
    auto done = co_await reap(*p, false);
    if (!done) co_return done.error();
    if (auto marked = write_file(folder(*p) / "run" / "stopped", "killed\n"); !marked)
      co_return marked.error();
    co_return true;
  }

  later<bool> destroy(std::string handle) override {
    const auto p = split(handle);
    if (!p || !key::parse(p->sandbox)) co_return false;
    auto turn = co_await turns_.take(p->sandbox);
    close_outlet(handle);
    if (!is_mine(*p)) {
      release_uids(*p);
      co_return false;
    }
    auto done = co_await reap(*p, true);
    if (!done) co_return done.error();
    release_uids(*p);  // last: the uid is used again only when nothing of its tree is left
    co_return *done;
  }

  later<sandbox_look> inspect(std::string handle) override {
    const auto p = split(handle);
    if (!p || !is_mine(*p)) co_return not_found("looking at " + handle + ": nothing of it is there");
    sandbox_look out;
    (void)open_outlet(handle, *p);  // after a restart of the server this is the first that is asked
    auto answer = co_await ask(*p);
    std::error_code ec;
    if (!answer) {
      const bool stopped = fs::exists(folder(*p) / "run" / "stopped", ec);
      out.state = stopped ? "stopped" : "lost";
      if (!stopped) out.why = "its supervisor is gone";
      co_return out;
    }
    out.state = answer->value("state", "lost");
    if (out.state == "ended") {
      out.state = "lost";
      out.why = answer->value("why", "");
    }
    const auto use = answer->value("use", json::object());
    out.memory_mb = use.value("memory_bytes", std::uint64_t{0}) >> 20;
    out.pids = use.value("processes", std::uint64_t{0});
    out.out_of_memory = use.value("out_of_memory", std::uint64_t{0});
    co_return out;
  }

  std::optional<daemon_address> find(const std::string& handle) const override {
    const auto p = split(handle);
    if (!p || !is_mine(*p)) return {};
    daemon_address out;
    out.at = wire::endpoint::unix_file(socket(*p).string());
    if (tier_ == "none") {
      // There are no mounts: what would be one is where it comes from.
      out.workspace = (folder(*p) / "work").string();
      const auto made = read_intent(p->sandbox).value_or(json::object());
      for (const auto& mount : made.value("mounts", json::array()))
        if (mount.value("to", "") == out.mirror) out.mirror = mount.value("from", "");
    }
    return out;
  }

  std::vector<std::pair<std::uint64_t, egress_record>> egress(const std::string& handle,
                                                              std::uint64_t after) const override {
    std::shared_ptr<outlet> one;
    {
      std::lock_guard lock(mutex_);
      if (auto found = outlets_.find(handle); found != outlets_.end()) one = found->second;
    }
    std::vector<std::pair<std::uint64_t, egress_record>> out;
    if (!one) return out;
    std::lock_guard lock(one->mutex);
    for (const auto& item : one->kept)
      if (item.first > after) out.push_back(item);
    return out;
  }

 private:
  static std::int64_t elapsed(wire::time_point since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(wire::clock::now() - since).count();
  }

  void say(const std::string& text) const {
    if (options_.log) options_.log("sandbox", text);
  }

  fs::path folder(const parts& p) const { return options_.data / p.sandbox; }
  fs::path intent(const parts& p) const { return folder(p) / "run" / "intent.json"; }
  fs::path claims() const { return options_.data / "sandbox-uids"; }
  fs::path socket(const parts& p) const { return options_.sockets / (short_name(p) + ".sock"); }

  std::optional<json> read_intent(const std::string& sandbox) const {
    if (!key::parse(sandbox)) return {};
    auto text = json::parse(read_file(options_.data / sandbox / "run" / "intent.json"), nullptr, false);
    if (!text.is_object()) return {};
    return text;
  }

  // There is something of exactly this life.
  bool is_mine(const parts& p) const {
    const auto text = read_intent(p.sandbox);
    return text && text->value("nonce", "") == short_name(p);
  }

  attempt<bool> claim_uid(const sandbox_request& what, const parts& p) {
    if (tier_ != "namespaces+uid") return true;
    if (what.uid < options_.first_uid || what.uid > options_.last_uid)
      return invalid("making sandbox " + what.sandbox + ": the uid " + std::to_string(what.uid) +
                     " is not in the range of sandboxes, " + std::to_string(options_.first_uid) + " to " +
                     std::to_string(options_.last_uid));
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> room;
    if (::getpwuid_r(what.uid, &entry, room.data(), room.size(), &found) == 0 && found)
      return quota("making sandbox " + what.sandbox + ": the uid " + std::to_string(what.uid) +
                   " belongs to the user " + found->pw_name + "; try another");
    std::error_code ec;
    fs::create_directories(claims(), ec);
    const auto file = claims() / std::to_string(what.uid);
    const auto mine = handle_of(p.sandbox, p.nonce);
    const int fd = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
      const bool wrote = ::write(fd, mine.data(), mine.size()) == static_cast<ssize_t>(mine.size());
      ::close(fd);
      if (wrote) return true;
      ::unlink(file.c_str());
      return quota("making sandbox " + what.sandbox + ": claiming its uid: the disk is full");
    }
    if (errno != EEXIST) return transport("claiming " + file.string() + ": " + strerror(errno));
    if (const auto holder = read_file(file); holder != mine)
      return quota("making sandbox " + what.sandbox + ": the uid " + std::to_string(what.uid) +
                   " is still that of " + holder + "; try another, or destroy that one");
    return true;
  }

  void release_uids(const parts& p) {
    std::error_code ec;
    const auto mine = handle_of(p.sandbox, p.nonce);
    for (fs::directory_iterator it(claims(), ec), end; !ec && it != end; it.increment(ec)) {
      if (read_file(it->path()) != mine) continue;
      std::error_code ignored;
      fs::remove(it->path(), ignored);
    }
  }

  attempt<json> spec_of(const sandbox_request& what, const parts& p, const effective_limits& limits) const {
    json mounts = json::array();
    for (const auto& mount : what.mounts) {
      constexpr std::string_view mirror = "mirror:";
      const std::string org(key(p.sandbox).id_of("org"));  // a view of the key's text, which goes with it
      const auto name = mount.source.substr(std::min(mirror.size(), mount.source.size()));
      if (!mount.source.starts_with(mirror) || name.empty() || name.find('/') != std::string::npos ||
          name[0] == '.')
        return invalid("making sandbox " + what.sandbox + ": the mount " + mount.source +
                       " is not mirror:NAME");
      const auto from = options_.data / "org" / org / "mirrors" / (name + ".git");
      std::error_code ec;
      if (!fs::is_directory(from, ec))
        return not_found("making sandbox " + what.sandbox + ": the mirror " + name +
                         " is not there; refresh it first");
      mounts.push_back({{"from", from.string()}, {"to", mount.target}, {"writable", !mount.read_only}});
    }
    json forwards = json::array(), programs = json::array(), environment = json::object();
    for (const auto& [port, to] : what.forwards)
      forwards.push_back({{"port", port}, {"socket", "forward-" + std::to_string(port) + ".sock"}});
    for (const auto& [from, name] : options_.programs) programs.push_back({{"from", from}, {"name", name}});
    for (const auto& [name, value] : what.environment) environment[name] = value;
    const bool none =
        what.requirements.network.value.what == egress_rule::kind::nothing && what.forwards.empty();
    json out = {{"key", p.sandbox},
                {"life", p.nonce},
                {"nonce", short_name(p)},
                {"folder", folder(p).string()},
                {"socket", socket(p).string()},
                {"tier", tier_},
                {"uid", tier_ == "namespaces+uid" ? what.uid : 0},
                {"network", {{"mode", none ? "none" : "proxy"}, {"forwards", std::move(forwards)}}},
                {"limits",
                 {{"memory", limits.memory_mb << 20},
                  {"disk", limits.disk_mb << 20},
                  {"pids", limits.pids},
                  {"cpus", limits.cpu}}},
                {"mounts", std::move(mounts)},
                {"programs", std::move(programs)},
                {"environment", std::move(environment)},
                {"egress", egress_of(what)}};
    std::error_code ec;
    if (!options_.tools.empty() && fs::is_directory(options_.tools, ec))
      out["tools"] = options_.tools.string();
    return out;
  }

  // Kept with the intent: a server that comes back opens the same way out again.
  static json egress_of(const sandbox_request& what) {
    const auto& rule = what.requirements.network.value;
    json forwards = json::array();
    for (const auto& [port, to] : what.forwards)
      forwards.push_back({{"port", port}, {"host", to.host}, {"to_port", to.port}});
    return {{"rule", static_cast<int>(rule.what)}, {"allow", rule.allow}, {"forwards", std::move(forwards)}};
  }

  // From the intent. Nothing to do for a sandbox without a network, or when it is open.
  attempt<bool> open_outlet(const std::string& handle, const parts& p) {
    if (tier_ == "none") return true;
    std::lock_guard lock(mutex_);
    if (outlets_.count(handle)) return true;
    const auto spec = read_intent(p.sandbox);
    if (!spec || spec->at("network").value("mode", "none") == "none") return true;
    auto one = std::make_shared<outlet>();
    door_options door;
    door.folder = folder(p) / "net";
    door.peer_uid = tier_ == "namespaces+uid" ? spec->value("uid", 0u) : ::geteuid();
    const auto egress = spec->value("egress", json::object());
    const int rule = egress.value("rule", 0);
    door.rule.what = rule == 1   ? egress_rule::kind::public_addresses
                     : rule == 2 ? egress_rule::kind::allow_list
                                 : egress_rule::kind::nothing;
    door.rule.allow = egress.value("allow", std::vector<std::string>{});
    for (const auto& item : egress.value("forwards", json::array())) {
      host_port to{item.value("host", ""), item.value("to_port", std::uint16_t{0})};
      door.forwards.push_back({"forward-" + std::to_string(item.value("port", 0)) + ".sock", std::move(to)});
    }
    door.ledger = [weak = std::weak_ptr(one), most = options_.egress_kept](const egress_record& record) {
      auto to = weak.lock();
      if (!to) return;
      std::lock_guard guard(to->mutex);
      to->kept.emplace_back(++to->last, record);
      while (to->kept.size() > most) to->kept.pop_front();
    };
    auto opened = network_door::open(ex_, std::move(door));
    if (!opened) return opened.error();
    one->door = *opened;
    outlets_[handle] = std::move(one);
    return true;
  }

  void close_outlet(const std::string& handle) {
    std::lock_guard lock(mutex_);
    outlets_.erase(handle);
  }

  // What its supervisor says; a failure when nobody answers.
  asio::awaitable<attempt<json>> ask(parts p, std::string method = "GET",
                                     std::string target = "/v1/sandbox") {
    std::error_code ec;
    if (!fs::exists(socket(p), ec)) co_return not_found("the sandbox " + p.sandbox + " does not run");
    wire::request request;
    request.method = method;
    request.target = target;
    auto answer =
        co_await http_.fetch(wire::endpoint::unix_file(socket(p).string()), std::move(request), ask_limit);
    if (!answer) co_return from_wire("asking the supervisor of " + p.sandbox, answer.error());
    auto body = json::parse(answer->bytes(), nullptr, false);
    if (!body.is_object()) co_return broken("the supervisor of " + p.sandbox + " answered no JSON");
    if (answer->status >= 300) {
      const auto text = body.value("detail", "status " + std::to_string(answer->status));
      if (answer->status == 501) co_return unsupported(text);
      co_return broken(text);
    }
    if (body.contains("nonce") && body["nonce"] != short_name(p))
      co_return broken("the supervisor of " + p.sandbox + " belongs to another life of it");
    co_return body;
  }

  later<sandbox_paused> change(std::string handle, std::string what) {
    const auto p = split(handle);
    if (!p || !is_mine(*p)) co_return not_found(what + " of " + handle + ": there is no such sandbox");
    auto turn = co_await turns_.take(p->sandbox);
    auto answer = co_await ask(*p, "POST", "/v1/sandbox/" + what);
    if (!answer) co_return answer.error();
    sandbox_paused out{answer->value("state", ""), answer->value("how", "")};
    co_return out;
  }

  asio::awaitable<attempt<bool>> reap(parts p, bool files) {
    std::vector<std::string> argv = {options_.sandboxd, "reap", "--spec", intent(p).string()};
    if (files) argv.push_back("--files");
    auto ex = co_await asio::this_coro::executor;
    auto answer = co_await run_sandboxd(ex, std::move(argv), reap_limit);
    if (!answer) co_return answer.error();
    if (!answer->value("ok", false)) co_return from_sandboxd("ending sandbox " + p.sandbox, *answer);
    co_return answer->value("was_there", false) || answer->value("was_alive", false);
  }

  wire::executor ex_;
  wire::client& http_;
  const local_options options_;
  const json probes_;
  const std::string tier_;
  turns turns_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<outlet>> outlets_;  // by handle; guarded by mutex_
};

}  // namespace

attempt<std::shared_ptr<local_provider>> local_provider::make(wire::executor ex, wire::client& http,
                                                              local_options options) {
  if (options.sockets.empty()) options.sockets = options.data / "sockets";
  if (options.sockets.native().size() + 1 + 32 + 5 > socket_path_bytes)
    return invalid("the sockets' folder " + options.sockets.string() +
                   " is too long a path for unix sockets (69 bytes); " + "choose a shorter one");
  std::error_code ec;
  fs::create_directories(options.sockets, ec);
  fs::permissions(options.sockets, fs::perms::owner_all, ec);
  if (ec) return transport("making " + options.sockets.string() + ": " + ec.message());
  auto probes = run_sandboxd_blocking({options.sandboxd, "probe", "--json"}, std::chrono::seconds(60));
  if (!probes) return probes.error();
  return std::shared_ptr<local_provider>(std::make_shared<provider_on_this_machine>(
      std::move(ex), http, std::move(options), std::move(*probes)));
}

}  // namespace troupe::drivers
