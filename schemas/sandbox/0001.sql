-- The sandbox: what was asked for (before the world was touched), and what the world last said.
CREATE TABLE sandbox (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  state TEXT NOT NULL CHECK (state IN ('creating', 'running', 'paused', 'stopped', 'destroyed', 'lost', 'error')),
  doing TEXT NOT NULL DEFAULT '',   -- the act under way, if any
  effect TEXT NOT NULL DEFAULT '',  -- its effect; the outcome of another one is old
  holder TEXT NOT NULL,             -- key of the task that uses it
  spec TEXT NOT NULL,               -- JSON, as asked for
  nonce TEXT NOT NULL,
  uid INTEGER NOT NULL,
  creation INTEGER NOT NULL DEFAULT 0,    -- counts makings: files of an older one are gone
  generation INTEGER NOT NULL DEFAULT 0,  -- counts starts: processes of an older one are gone
  handle TEXT NOT NULL DEFAULT '',
  tier TEXT NOT NULL DEFAULT '',
  workspace TEXT NOT NULL DEFAULT '',
  items TEXT NOT NULL DEFAULT '{}',  -- JSON: each requirement enforced, best_effort or absent
  steps TEXT NOT NULL DEFAULT '[]',  -- JSON: what its making took
  feed TEXT NOT NULL DEFAULT '',
  watch INTEGER NOT NULL DEFAULT 0,  -- counts feeds: the end of an older one is old
  error TEXT NOT NULL DEFAULT '',
  memory_mb INTEGER NOT NULL DEFAULT 0,
  pids INTEGER NOT NULL DEFAULT 0,
  leaving INTEGER NOT NULL DEFAULT 0,  -- 1: once destroyed, the actor ends
  failed_destroys INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

CREATE TABLE process (
  id TEXT PRIMARY KEY,                    -- ours; the daemon's own id where others started it
  daemon_id TEXT UNIQUE,                  -- NULL until the daemon has started it
  generation INTEGER NOT NULL,
  info TEXT NOT NULL,                     -- JSON: command, args, cwd, tty, pid, exit_code, times
  status TEXT NOT NULL CHECK (status IN ('starting', 'running', 'exited', 'failed')),
  started_by TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX process_by_time ON process (created_at);
