#include "runtime/answer.h"

namespace troupe {

outcome outcome::of(const json& body) {
  outcome o{body.value("effect", ""), json(nullptr), body.value("context", json(nullptr))};
  if (body.value("ok", false)) {
    o.is = body.value("result", json(nullptr));
  } else {
    o.is = body.value("error", json::object()).get<troupe::problem>();
  }
  return o;
}

}  // namespace troupe
