#include "runtime/durability.h"

namespace troupe {
namespace {

class local final : public durability_gate {
 public:
  void durable(const key&, std::uint64_t, std::function<void(bool)> done) override { done(true); }
};

}  // namespace

durability_gate& local_durability() {
  static local gate;
  return gate;
}

}  // namespace troupe
