// webhook.post to a real receiver on loopback: what arrives, what is tried again, where it does not go.
#include "drivers/webhook/webhook.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include <doctest/doctest.h>

#include "tests/drivers/driver_kit.h"

using namespace troupe;
using namespace troupe::test;
namespace webhook = troupe::drivers::webhook;

namespace {

// Takes one request for each of its answers, in order, one connection each.
class receiver {
 public:
  explicit receiver(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&any), size) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size);
    port_ = ntohs(any.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~receiver() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hooks/1?a=b"; }
  // Ends the receiver; what came.
  std::vector<std::string> requests() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    thread_ = std::thread([] {});
    return requests_;
  }

 private:
  void serve() {
    for (const auto& answer : answers_) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      std::string request;
      char piece[4096];
      while (!whole(request)) {
        const auto got = ::recv(fd, piece, sizeof piece, 0);
        if (got <= 0) break;
        request.append(piece, static_cast<std::size_t>(got));
      }
      requests_.push_back(std::move(request));
      const auto text = "HTTP/1.1 " + answer + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      [[maybe_unused]] const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  }
  static bool whole(const std::string& request) {
    const auto end = request.find("\r\n\r\n"), at = request.find("Content-Length: ");
    return end != std::string::npos && at != std::string::npos &&
           request.size() >= end + 4 + std::stoul(request.substr(at + 16));
  }

  std::vector<std::string> answers_, requests_;
  int listener_ = -1, port_ = 0;
  std::thread thread_;
};

struct sender {
  loop net;
  webhook::options with{.allow_private = true};
  std::vector<effect_kind> effects = webhook::effects(net.ex(), net.http(), secret, with);

  static std::optional<std::string> secret(std::string_view, std::string_view name) {
    return name == "hook" ? std::optional<std::string>("It's a Secret to Everybody") : std::nullopt;
  }
  std::shared_ptr<recorded_effect> post(const std::string& url, json more = json::object()) {
    json body{{"url", url}, {"event", {{"event", "finished"}, {"task", "t1"}}}};
    body.update(more);
    return test::start(effects, "webhook.post", "delivery-1", std::move(body));
  }
};

std::string header(const std::string& request, const std::string& name) {
  const auto at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 4;
  return request.substr(from, request.find('\r', from) - from);
}

}  // namespace

TEST_CASE("a notification arrives as JSON with its event, its delivery and a signature that fits") {
  receiver to({"204 No Content"});
  sender s;
  CHECK(s.post(to.url(), {{"secret", "hook"}})->result()["status"] == 204);
  const auto all = to.requests();
  REQUIRE(all.size() == 1);
  const auto& request = all.front();
  CHECK(request.starts_with("POST /hooks/1?a=b HTTP/1.1\r\n"));
  CHECK(header(request, "Troupe-Event") == "finished");
  CHECK(header(request, "Troupe-Delivery") == "delivery-1");
  const auto body = request.substr(request.find("\r\n\r\n") + 4);
  CHECK(json::parse(body) == json{{"event", "finished"}, {"task", "t1"}});
  const auto signature = header(request, "Troupe-Signature");
  const auto seconds = std::stoll(signature.substr(2));
  CHECK(signature == webhook::signature("It's a Secret to Everybody", seconds, body));
}

TEST_CASE("the signature is HMAC-SHA-256 as others compute it") {
  // printf '1.{}' | openssl dgst -sha256 -hmac key
  CHECK(webhook::signature("key", 1, "{}") ==
        "t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224");
}

TEST_CASE("what may pass is tried again, what will not is not, and redirects are not followed") {
  receiver to({"503 Busy", "429 Slow", "404 None", "302 Elsewhere"});
  sender s;
  for (const bool again : {true, true, false, false}) {
    const auto post = s.post(to.url());
    CHECK(post->trouble().code == "webhook_refused");
    CHECK(post->again() == again);
  }
  const auto url = to.url();
  to.requests();
  const auto nobody = s.post(url);
  CHECK(nobody->trouble().detail.find("127.0.0.1") != std::string::npos);
}

TEST_CASE(
    "addresses that only the server reaches, plain http and unknown secrets are refused before anything is "
    "sent") {
  receiver to({"200 OK"});
  sender s;
  CHECK(s.post(to.url(), {{"secret", "none"}})->trouble().detail.find("`none`") != std::string::npos);
  s.effects = webhook::effects(s.net.ex(), s.net.http(), sender::secret);
  CHECK(s.post(to.url())->trouble().detail.find("https") != std::string::npos);
  for (const auto* host : {"127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]"}) {
    const auto why = s.post("https://" + std::string(host) + "/")->trouble();
    CHECK_MESSAGE(why.detail.find("no public address") != std::string::npos, why.detail);
  }
  CHECK(s.post("unix:/run/x.sock")->trouble().code == "invalid");
  CHECK(to.requests().empty());
}
