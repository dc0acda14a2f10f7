#include "sandboxd/isolation/file_server.h"

#include <errno.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "sandboxd/file_tree.h"
#include "sandboxd/isolation/control.h"
#include "sandboxd/isolation/file_json.h"
#include "sandboxd/isolation/spec.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

json answer_of(const os_error& e) {
  return {{"errno", e.number}, {"text", e.text}};
}

json answer_of(const outcome<done>& result) {
  return result ? json{{"ok", true}} : answer_of(result.error());
}

json perform(const file_tree& tree, const json& request, descriptor& fd) {
  const auto op = request.at("op").get<std::string>();
  auto text = [&](const char* name) { return bytes_from_json(request.at(name)); };
  if (op == "status") {
    auto result = tree.status(text("path"));
    return result ? json{{"ok", true}, {"status", to_json(*result)}} : answer_of(result.error());
  }
  if (op == "list") {
    auto result = tree.list(text("path"));
    if (!result) return answer_of(result.error());
    json entries = json::array();
    for (const auto& entry : *result) entries.push_back({bytes_to_json(entry.name), to_json(entry.status)});
    return {{"ok", true}, {"entries", std::move(entries)}};
  }
  if (op == "open") {
    auto result =
        tree.open(text("path"), request.at("replace").get<bool>() ? open_mode::replace : open_mode::read,
                  request.at("mode").get<std::uint32_t>());
    if (!result) return answer_of(result.error());
    fd = std::move(result).value();
    return {{"ok", true}};
  }
  if (op == "make_directory") return answer_of(tree.make_directory(text("path")));
  if (op == "make_symlink") return answer_of(tree.make_symlink(text("target"), text("path")));
  if (op == "move")
    return answer_of(tree.move(text("from"), text("to"), request.at("overwrite").get<bool>()));
  if (op == "remove") return answer_of(tree.remove(text("path"), request.at("recursive").get<bool>()));
  return {{"errno", ENOSYS}, {"text", "files: unknown operation " + op}};
}

}  // namespace

void serve_files(int socket) {
  auto tree = file_tree::open("/", inside::home);
  for (;;) {
    auto got = receive_packet(socket);
    if (!got) ::_exit(got.error().number == ENOTCONN ? 0 : 1);
    const json request = json::parse(got->text, nullptr, false);
    json answer;
    descriptor fd;
    try {
      answer = tree ? perform(*tree, request, fd) : answer_of(tree.error());
      answer["id"] = request.at("id");
    } catch (const std::exception& e) {
      answer = {{"errno", EINVAL}, {"text", std::string("files: ") + e.what()}, {"id", 0}};
      if (request.is_object()) answer["id"] = request.value("id", 0);
    }
    const auto text = answer.dump(-1, ' ', false, json::error_handler_t::replace);
    const auto sent = send_packet(socket, text, fd ? std::vector<int>{fd.get()} : std::vector<int>{});
    if (!sent && sent.error().number == EMSGSIZE) {
      const json cut = {
          {"id", answer["id"]}, {"errno", EOVERFLOW}, {"text", "files: the answer has over 16 MiB"}};
      (void)send_packet(socket, cut.dump());
    } else if (!sent) {
      ::_exit(1);
    }
  }
}

}  // namespace troupe::sandboxd
