// The driver: the only file here that touches the network.
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "net/wire/client.h"
#include "webhook_relay/relay.h"

using namespace troupe;

namespace relay {
namespace {

constexpr std::chrono::seconds answer_limit{10};
constexpr unsigned at_once = 4;

void post(effect_run& run) {
  std::string target;
  const auto url = run.body()["url"].get<std::string>();
  const auto to = wire::endpoint::parse(url, &target);
  if (!to) return run.fail({422, "bad_url", to.error().text, {}, {}});
  wire::request r;
  r.method = "POST";
  r.target = target.empty() ? "/" : target;
  r.headers.add("Content-Type", "application/json");
  r.headers.add("Idempotency-Key", run.id());
  r.body = run.body()["body"].dump();
  wire::blocking_client client;
  const auto got = client.fetch(*to, std::move(r), answer_limit);
  if (!got) return run.fail({502, "no_answer", got.error().text, {}, {}}, /*again=*/true);
  if (got->status >= 200 && got->status < 300) return run.succeed({{"status", got->status}});
  const bool may_pass = got->status == 429 || got->status >= 500;
  run.fail({502, "refused", url + " answered " + std::to_string(got->status), {}, {}}, may_pass);
}

}  // namespace

effect_kind webhook() {
  const auto threads = std::make_shared<boost::asio::thread_pool>(at_once);
  return {.name = "webhook",
          .policy = after_restart::retry,
          .max_attempts = 5,
          .start = [threads](std::shared_ptr<effect_run> run) {
            boost::asio::post(*threads, [run = std::move(run)] { post(*run); });
          }};
}

}  // namespace relay
