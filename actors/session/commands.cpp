#include "actors/session/handlers.h"
#include "actors/session/session.h"
#include "schemas/session.h"

namespace troupe::actors {

using namespace sessions;

const kind& session() {
  const auto members = from::client("member") | from::parent();
  static const kind k{
      .name = "session",
      .schema = schemas::session,
      .commands =
          {
              // prompts.cpp
              {"session.prompt", members, lane::interactive, prompt, "session.message_sent"},
              {"session.remove_prompt", from::client("member"), lane::interactive, remove_prompt,
               "session.message_removed"},
              {"session.move_prompt", from::client("member"), lane::interactive, move_prompt},
              {"session.cancel", members, lane::interactive, cancel, "session.cancelled"},
              // permissions.cpp
              {"session.answer_permission", from::client("member"), lane::interactive, answer_permission,
               "session.permission_answered"},
              {"session.expire_permission", from::self(), lane::interactive, expire_permission},
              // lifecycle.cpp
              {"session.create", from::parent(), lane::interactive, create, "session.created", true},
              {"session.rename", from::client("member"), lane::interactive, rename, "session.renamed"},
              {"session.set_limits", from::client("member"), lane::interactive, set_limits,
               "session.limits_set"},
              {"session.close", members, lane::interactive, sessions::close, "session.closed"},
              {"session.resume", members, lane::interactive, resume, "session.resumed"},
              {"session.delete", from::parent(), lane::interactive, leave},
              {"session.apply_sandbox", from::parent(), lane::interactive, apply_sandbox},
              // agent.cpp
              {"session.set_mode", from::client("member"), lane::interactive, set_mode, "session.mode_set"},
              {"session.set_model", from::client("member"), lane::interactive, set_model,
               "session.model_set"},
              {"session.apply_started", from::effect(), lane::interactive, apply_started},
              {"session.apply_setting", from::effect(), lane::interactive, apply_setting},
              {"session.apply_sent", from::effect(), lane::background, apply_sent},
              {"session.apply_updates_end", from::effect(), lane::interactive, apply_updates_end},
              // updates.cpp
              {"session.apply_updates", from::effect(), lane::interactive, apply_updates},
              // turns.cpp
              {"session.apply_prompt_outcome", from::effect(), lane::interactive, apply_prompt_outcome},
              {"session.expire_prompt", from::self(), lane::interactive, expire_prompt},
              {"session.force_end", from::self(), lane::interactive, force_end},
              {"session.settle_turn", from::self(), lane::interactive, settle_turn},
          },
      .queries = {{"session.get_prompt", "viewer", get_prompt},
                  {"session.list_permissions", "viewer", list_permissions}},
      .snapshot = snapshot,
      .streams = {{"transcript", "viewer", 0}},
  };
  return k;
}

}  // namespace troupe::actors
