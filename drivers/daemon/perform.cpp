#include "drivers/daemon/perform.h"

#include <stdexcept>

namespace troupe::drivers {

void report(effect_run& run, attempt<json> outcome) {
  if (outcome) {
    run.succeed(std::move(*outcome));
  } else {
    run.fail(outcome.error().why, outcome.error().again);
  }
}

namespace {

wire::asio::awaitable<void> drive(std::shared_ptr<effect_run> run, effect_coroutine work) {
  try {
    report(*run, co_await std::move(work));
  } catch (const std::exception& e) {
    run->fail(invalid(std::string("the effect could not be performed: ") + e.what()).why);
  }
}

}  // namespace

void perform(const wire::executor& ex, std::shared_ptr<effect_run> run, effect_coroutine work) {
  wire::asio::co_spawn(wire::asio::make_strand(ex), drive(std::move(run), std::move(work)),
                       wire::asio::detached);
}

const json& field(const json& body, const char* name) {
  const auto at = body.find(name);
  if (at == body.end()) throw std::invalid_argument(std::string("its body has no `") + name + "`");
  return *at;
}

std::string text_field(const json& body, const char* name) {
  const auto& value = field(body, name);
  if (!value.is_string())
    throw std::invalid_argument(std::string("`") + name + "` of its body is not a text");
  return value.get<std::string>();
}

}  // namespace troupe::drivers
