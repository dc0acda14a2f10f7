// The commands of the program. Each function adds one subcommand with its own below it to `app`; what runs
// after parsing is the subcommand's callback. Callbacks throw `failure`.
#pragma once

namespace CLI {
class App;
}

namespace troupe::cli {

struct context;

void add_serve(CLI::App& app, context&);
void add_demo(CLI::App& app, context&);
void add_org(CLI::App& app, context&);
void add_access(CLI::App& app, context&);
void add_repo(CLI::App& app, context&);
void add_task(CLI::App& app, context&);
void add_session(CLI::App& app, context&);
void add_sandbox(CLI::App& app, context&);
void add_secret(CLI::App& app, context&);
void add_audit(CLI::App& app, context&);
void add_backup(CLI::App& app, context&);
void add_inspect(CLI::App& app, context&);
void add_agent(CLI::App& app, context&);
void add_doctor(CLI::App& app, context&);
void add_completion(CLI::App& app, context&);

}  // namespace troupe::cli
