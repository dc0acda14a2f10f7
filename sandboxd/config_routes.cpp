// /v1/config/mcp and /v1/config/skills: what agents in a folder are to be given, kept as files of that
// folder.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sandboxd/config_values.h"
#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

// They may hold keys of servers.
constexpr std::uint32_t config_file_mode = 0600;

struct config_kind {
  const char* name;       // of its file, and in the name of what is missing
  const char* parameter;  // of the query: which entry
  checked_config (*check)(const json&);
};

constexpr config_kind mcp{"mcp", "mcpName", check_mcp_server};
constexpr config_kind skills{"skills", "skillName", check_skills};

// Which entry a request is about.
struct config_entry {
  config_entry(const config_kind& kind, const wire::request& r) {
    query_reader q(r);
    auto folder = q.text("directory");
    name = q.text(kind.parameter);
    auto blank = [](const std::string& s) { return s.find_first_not_of(" \t\r\n") == s.npos; };
    auto missing = [](const char* which) {
      return contract::invalid_request(std::string("missing required '") + which + "' query parameter");
    };
    refusal = std::move(q.refusal);
    if (!refusal && blank(folder)) refusal = missing("directory");
    if (!refusal && blank(name)) refusal = missing(kind.parameter);
    path = folder + "/.sandbox-agent/config/" + kind.name + ".json";
  }

  std::string path;
  std::string name;
  std::optional<wire::response> refusal;
};

outcome<json> parse_entries(int fd, const std::string& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return os_error{errno, path};
  if (!S_ISREG(st.st_mode)) return os_error{EISDIR, path};
  if (st.st_size > static_cast<off_t>(max_json_body_bytes)) return os_error{EFBIG, path};
  std::string text(static_cast<std::size_t>(st.st_size), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    auto n = ::pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error{errno, path};
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  text.resize(have);
  auto all = json::parse(text, nullptr, false);
  if (!all.is_object()) return os_error{EINVAL, "not a JSON object: " + path + "; mend or remove it"};
  return all;
}

// No file is no entries.
asio::awaitable<outcome<json>> read_entries(daemon_ptr d, const std::string& path) {
  auto opened = co_await d->where.open(path, open_mode::read);
  if (!opened) {
    auto why = opened.error();
    if (why.number != ENOENT && why.number != ENOTDIR) co_return why;
    co_return json::object();
  }
  co_return parse_entries(opened->get(), path);
}

// A reader sees the old file or the new one.
asio::awaitable<outcome<done>> write_entries(daemon_ptr d, const std::string& path, const json& all) {
  auto text = all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  auto fresh = path + ".new";
  auto opened = co_await d->where.open(fresh, open_mode::replace, config_file_mode);
  if (!opened) co_return opened.error();
  for (std::string_view rest = text; !rest.empty();) {
    auto n = ::write(opened->get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) co_return os_error{errno, fresh};
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  co_return co_await d->where.move(fresh, path, true);
}

asio::awaitable<void> get_entry(daemon_ptr d, const config_kind& kind, wire::exchange& x) {
  config_entry which(kind, x.request());
  json found;
  if (!which.refusal) {
    auto all = co_await read_entries(d, which.path);
    if (!all)
      which.refusal = contract::file_problem(all.error(), which.path);
    else if (auto at = all->find(which.name); at != all->end())
      found = *at;
    else
      which.refusal = contract::session_not_found(std::string(kind.name) + ":" + which.name);
  }
  auto said = which.refusal ? std::move(*which.refusal) : json_response(found);
  co_await d->out.reply(x, std::move(said));
}

// Nothing: the entry goes.
asio::awaitable<void> set_entry(daemon_ptr d, wire::exchange& x, config_entry which,
                                std::optional<json> value) {
  {
    auto pass = co_await d->config_files.enter();
    auto all = co_await read_entries(d, which.path);
    outcome<done> written = done{};
    if (!all) {
      written = all.error();
    } else if (value) {
      (*all)[which.name] = std::move(*value);
      written = co_await write_entries(d, which.path, all.value());
    } else if (all->erase(which.name)) {
      written = co_await write_entries(d, which.path, all.value());
    }
    if (!written) which.refusal = contract::file_problem(written.error(), which.path);
  }
  auto said = which.refusal ? std::move(*which.refusal) : wire::response::empty(204);
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<void> put_entry(daemon_ptr d, const config_kind& kind, wire::exchange& x) {
  config_entry which(kind, x.request());
  body_reader body(x.request());
  checked_config checked;
  if (!which.refusal) which.refusal = body.refusal;
  if (!which.refusal) {
    checked = kind.check(body.value());
    if (!checked.fault.empty()) which.refusal = contract::bad_body(checked.fault);
  }
  if (which.refusal) {
    co_await d->out.reply(x, std::move(*which.refusal));
    co_return;
  }
  std::optional<json> value = std::move(checked.value);
  co_await set_entry(d, x, std::move(which), std::move(value));
}

asio::awaitable<void> remove_entry(daemon_ptr d, const config_kind& kind, wire::exchange& x) {
  config_entry which(kind, x.request());
  if (which.refusal) {
    co_await d->out.reply(x, std::move(*which.refusal));
    co_return;
  }
  std::optional<json> nothing;
  co_await set_entry(d, x, std::move(which), std::move(nothing));
}

}  // namespace

void add_config_routes(wire::router& to, daemon_ptr d) {
  to.on("GET", "/v1/config/mcp", [d](wire::exchange& x) { return get_entry(d, mcp, x); });
  to.on("PUT", "/v1/config/mcp", [d](wire::exchange& x) { return put_entry(d, mcp, x); });
  to.on("DELETE", "/v1/config/mcp", [d](wire::exchange& x) { return remove_entry(d, mcp, x); });
  to.on("GET", "/v1/config/skills", [d](wire::exchange& x) { return get_entry(d, skills, x); });
  to.on("PUT", "/v1/config/skills", [d](wire::exchange& x) { return put_entry(d, skills, x); });
  to.on("DELETE", "/v1/config/skills", [d](wire::exchange& x) { return remove_entry(d, skills, x); });
}

}  // namespace troupe::sandboxd
