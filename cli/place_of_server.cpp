#include "cli/place_of_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/failure.h"

namespace troupe::cli {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

place_of_server placed(const server_file& file, const fs::path& path) {
  return {file.url, file.token, path.string(), file.repository_roots};
}

}  // namespace

void server_file::write(const fs::path& path) const {
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const auto fresh = path.string() + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    throw failure(fmt::format("cannot write {}: {}", fresh, std::strerror(errno)),
                  "check who owns the folder");
  json content{{"url", url}, {"token", token}, {"pid", pid}, {"data", data}};
  if (repository_roots) content["repository_roots"] = *repository_roots;
  const auto text = content.dump(2) + "\n";
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int why = errno;
  ::close(fd);
  if (!written || ::rename(fresh.c_str(), path.c_str()) != 0) {
    throw failure(fmt::format("cannot write {}: {}", path.string(), std::strerror(written ? errno : why)));
  }
}

std::optional<server_file> server_file::read(const fs::path& path) {
  std::ifstream in(path);
  if (!in) return {};
  const auto parsed = json::parse(in, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("url") || !parsed["url"].is_string()) return {};
  server_file found{parsed["url"], parsed.value("token", ""), parsed.value("pid", 0),
                    parsed.value("data", "")};
  if (const auto roots = parsed.find("repository_roots"); roots != parsed.end())
    found.repository_roots = roots->get<std::vector<std::string>>();
  return found;
}

bool server_file::alive() const {
  return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
}

fs::path user_server_file() {
  auto base = variable("XDG_CONFIG_HOME");
  if (base.empty() && !variable("HOME").empty()) base = variable("HOME") + "/.config";
  return base.empty() ? fs::path() : fs::path(base) / "troupe" / server_file::name;
}

std::optional<place_of_server> find_server(const std::string& url, const std::string& token,
                                           const std::string& data) {
  const auto wanted_url = url.empty() ? variable("TROUPE_SERVER") : url;
  const auto wanted_token = token.empty() ? variable("TROUPE_TOKEN") : token;

  std::vector<fs::path> candidates;
  if (!data.empty()) {
    candidates.push_back(fs::path(data) / server_file::name);
  } else {
    std::error_code error;
    for (auto folder = fs::current_path(error); !error && !folder.empty(); folder = folder.parent_path()) {
      candidates.push_back(folder / ".troupe" / server_file::name);
      if (folder == folder.parent_path()) break;
    }
    if (const auto own = user_server_file(); !own.empty()) candidates.push_back(own);
  }

  if (!wanted_url.empty()) {
    place_of_server found{wanted_url, wanted_token, url.empty() ? "TROUPE_SERVER" : "--server"};
    // A token is never sent to a server that it was not made for.
    for (const auto& path : candidates) {
      const auto file = server_file::read(path);
      if (!file || file->url != wanted_url) continue;
      if (found.token.empty()) found.token = file->token;
      if (!found.repository_roots) found.repository_roots = file->repository_roots;
    }
    return found;
  }
  std::optional<place_of_server> stale;
  for (const auto& path : candidates) {
    const auto file = server_file::read(path);
    if (!file) continue;
    auto place = placed(*file, path);
    if (!wanted_token.empty()) place.token = wanted_token;
    if (file->alive()) return place;
    if (!stale) stale = place;
  }
  // A file of a server that is gone still names the address that is worth an error message.
  return stale;
}

}  // namespace troupe::cli
