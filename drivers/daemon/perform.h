// An effect as a coroutine: what it returns is the effect's outcome, whatever it throws becomes a problem.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include "drivers/daemon/failed.h"
#include "net/wire/asio.h"
#include "runtime/effect.h"

namespace troupe::drivers {

using effect_coroutine = wire::asio::awaitable<attempt<json>>;

// Runs `work` on a strand over `ex` and reports to `run`. Returns at once.
void perform(const wire::executor& ex, std::shared_ptr<effect_run> run, effect_coroutine work);

// Reports an outcome that was made elsewhere.
void report(effect_run& run, attempt<json> outcome);

// A body that does not fit docs/effects.md is a bug of the actor that asked; the problem names the field.
const json& field(const json& body, const char* name);
std::string text_field(const json& body, const char* name);

}  // namespace troupe::drivers
