// Opens two accounts, pays from one to the other, and shows what is where. Run it twice: it goes on where it
// was.
#include <iostream>

#include "bank/bank.h"
#include "runtime/host.h"

using namespace troupe;

int main(int argc, char** argv) {
  host h({.data = argc > 1 ? argv[1] : "bank-data", .kinds = {&bank::bank(), &bank::account()}});
  h.start();
  const key our("bank/ours");
  h.call_as_host(our, "bank.found", json::object(), "found", /*create=*/true);

  const auto ask = [&](const key& to, const char* name, json body, std::string id = {}) {
    if (id.empty()) id = random_ids().next(system_clock().now());
    const auto r = h.call({.to = to, .id = id, .name = name, .body = std::move(body), .principal = "you"});
    std::cout << to.str() << ' ' << name << ": " << (r.ok() ? r.result().dump() : r.error().detail) << '\n';
  };
  // The same id is answered the same, however often it comes: these accounts are opened once.
  ask(our, "bank.open_account", {{"id", "ada"}, {"coins", 100}}, "open ada");
  ask(our, "bank.open_account", {{"id", "bob"}, {"coins", 0}}, "open bob");

  const auto ada = our.child("account", "ada");
  ask(ada, "account.pay", {{"to", "bob"}, {"coins", 30}});
  ask(ada, "account.pay", {{"to", "nobody"}, {"coins", 5}});
  // Stops when all that was accepted is stored; what is still on its way between accounts arrives with the
  // next run.
  h.stop();
}
