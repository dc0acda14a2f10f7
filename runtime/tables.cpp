#include "runtime/tables.h"

namespace troupe {
namespace {

constexpr storage::migration actor_steps[] = {{1, R"sql(
-- turn counts committed turns; revision is the last turn that wrote the kind's own tables.
CREATE TABLE rt_meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  key TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  turn INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  retired INTEGER NOT NULL DEFAULT 0
);
-- What was applied: history for people and memory for idempotency, one row per command.
-- source: 0 client, 1 actor, 2 effect, 3 feed, 4 timer, 5 host. changes_*: where its rows stand in rt_changes.
CREATE TABLE rt_inbox (
  seq INTEGER PRIMARY KEY,
  turn INTEGER NOT NULL,
  time INTEGER NOT NULL,
  source INTEGER NOT NULL,
  sender TEXT NOT NULL,
  principal TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  hash BLOB,
  ok INTEGER NOT NULL,
  result TEXT NOT NULL,
  duration_us INTEGER NOT NULL,
  changes_at INTEGER NOT NULL,
  changes_end INTEGER NOT NULL
);
CREATE UNIQUE INDEX rt_inbox_id ON rt_inbox (sender, id) WHERE hash IS NOT NULL;
-- Row changes of one turn as a CBOR sequence (storage/changes.h).
CREATE TABLE rt_changes (turn INTEGER PRIMARY KEY, data BLOB NOT NULL);
-- The last number applied per sender, in the transaction of what it caused.
CREATE TABLE rt_marks (
  sender TEXT NOT NULL,
  lane INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (sender, lane)
) WITHOUT ROWID;
-- Rejections without a reply that their sender may not have heard of.
CREATE TABLE rt_rejections (
  sender TEXT NOT NULL,
  lane INTEGER NOT NULL,
  number INTEGER NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (sender, lane, number)
) WITHOUT ROWID;
-- The last number given out per target and lane.
CREATE TABLE rt_peers (
  target TEXT NOT NULL,
  lane INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (target, lane)
) WITHOUT ROWID;
CREATE TABLE rt_outbox (
  target TEXT NOT NULL,
  lane INTEGER NOT NULL,
  number INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  flags INTEGER NOT NULL,
  principal TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  reply TEXT NOT NULL,
  context TEXT NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (target, lane, number)
) WITHOUT ROWID;
-- Messages that were rejected or found nobody, and that nobody waits for.
CREATE TABLE rt_dead (
  id INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  target TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  error TEXT NOT NULL
);
CREATE TABLE rt_effects (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  resource TEXT NOT NULL,
  body TEXT NOT NULL,
  outcome TEXT NOT NULL,
  context TEXT NOT NULL,
  principal TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  time INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE rt_feeds (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  on_batch TEXT NOT NULL,
  on_end TEXT NOT NULL,
  context TEXT NOT NULL,
  principal TEXT NOT NULL,
  position TEXT NOT NULL,
  time INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE rt_timers (
  name TEXT PRIMARY KEY,
  due INTEGER NOT NULL,
  command TEXT NOT NULL,
  body TEXT NOT NULL,
  principal TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE rt_streams (name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rt_entries (
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  turn INTEGER NOT NULL,
  time INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
)sql"},
                                              {2, R"sql(
-- On whose behalf it was sent: a message that is tried again keeps it.
ALTER TABLE rt_dead ADD COLUMN principal TEXT NOT NULL DEFAULT '';
)sql"}};

constexpr storage::migration directory_steps[] = {{1, R"sql(
-- An index over the actors' files, which are the truth. state: 0 creating, 1 live, 2 deleting.
CREATE TABLE actors (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  state INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  turn INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  last_active INTEGER NOT NULL,
  next_timer INTEGER,
  quarantined TEXT,
  run INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX actors_next_timer ON actors (next_timer) WHERE next_timer IS NOT NULL;
-- The recovery list: who may have obligations. attempts counts the processes in a row that crashed while it was at work.
-- Rows written in run `trusted_from` or later know the revision of their sleeping actor: an unclean end makes those
-- of the runs before it hearsay, since an actor may have written after its row.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  run INTEGER NOT NULL,
  trusted_from INTEGER NOT NULL,
  clean INTEGER NOT NULL
);
INSERT INTO runs VALUES (1, 0, 1, 1);
CREATE TABLE awake (key TEXT PRIMARY KEY, attempts INTEGER NOT NULL) WITHOUT ROWID;
)sql"},
                                                  {2, R"sql(
-- The tables that actors' files may have by now: of the newest program that was started on this folder.
CREATE TABLE components (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
)sql"}};

}  // namespace

std::span<const storage::migration> runtime_tables() {
  return actor_steps;
}
std::span<const storage::migration> directory_tables() {
  return directory_steps;
}

}  // namespace troupe
