// embedded_gateway [DATA [PORT]]: serves two counters until it is interrupted. Then, in another terminal:
//
//   curl -d '{"n": 2}' -H 'Content-Type: application/json'
//   http://127.0.0.1:8080/v1/actors/counter/apples/commands/counter.add curl
//   http://127.0.0.1:8080/v1/inspect/actors/counter/apples/history
//
// and the dashboard at http://127.0.0.1:8080/ with its inspector.
#include <csignal>
#include <iostream>

#include "embedded_gateway/counter_server.h"

int main(int argc, char** argv) {
  // Before the first thread, so that all of them leave the signals to sigwait.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  try {
    counters::server server(argc > 1 ? argv[1] : "counter-data",
                            static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 8080));
    std::cout << "serving at " << server.url() << std::endl;
    int signal = 0;
    sigwait(&ends, &signal);
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
