-- One task: one branch of one repository, its sessions and its sandbox.
CREATE TABLE task (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  status TEXT NOT NULL CHECK (status IN ('queued', 'provisioning', 'idle', 'running', 'needs_input', 'error',
                                         'archiving', 'archived', 'killed', 'deleting')),
  error TEXT NOT NULL DEFAULT '',  -- what stands in the way of the task itself; sessions have their own
  title TEXT NOT NULL,
  branch TEXT NOT NULL,
  description TEXT NOT NULL,
  existing_branch INTEGER NOT NULL,
  repository TEXT NOT NULL,        -- JSON: name, url, credential, base_branch, setup_command, environment, network
  owner TEXT NOT NULL,
  agent TEXT NOT NULL,
  model TEXT NOT NULL DEFAULT '',
  mode TEXT NOT NULL DEFAULT '',
  provider TEXT NOT NULL,
  requirements TEXT NOT NULL,      -- JSON
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,

  -- The sandbox, as it last said itself.
  sandbox TEXT NOT NULL DEFAULT '',  -- its id; '' for none
  sandbox_state TEXT NOT NULL DEFAULT 'none',
  handle TEXT NOT NULL DEFAULT '',
  tier TEXT NOT NULL DEFAULT '',
  items TEXT NOT NULL DEFAULT '{}',
  creation INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  prepared INTEGER NOT NULL DEFAULT -1,  -- the creation whose files are checked out and set up

  -- Provisioning: the step under way ('' for none) and its effect.
  step TEXT NOT NULL DEFAULT '',
  effect TEXT NOT NULL DEFAULT '',
  mirror TEXT NOT NULL DEFAULT '',
  base_branch TEXT NOT NULL DEFAULT '',
  base TEXT NOT NULL DEFAULT '',  -- commit ids
  head TEXT NOT NULL DEFAULT '',

  -- The work: the newest diff against the base, and the newest bundle of it.
  work_effect TEXT NOT NULL DEFAULT '',  -- the diff or the saving under way
  work_again INTEGER NOT NULL DEFAULT 0,
  work_error TEXT NOT NULL DEFAULT '',
  additions INTEGER NOT NULL DEFAULT 0,
  deletions INTEGER NOT NULL DEFAULT 0,
  files INTEGER NOT NULL DEFAULT 0,
  dirty INTEGER NOT NULL DEFAULT 0,
  diff_at INTEGER NOT NULL DEFAULT 0,
  bundle TEXT NOT NULL DEFAULT '',
  bundle_commit TEXT NOT NULL DEFAULT '',
  bundle_bytes INTEGER NOT NULL DEFAULT 0,
  bundle_at INTEGER NOT NULL DEFAULT 0,

  summary TEXT NOT NULL DEFAULT ''  -- what the organization was last told
);

-- What each session last said of itself, and its slot.
CREATE TABLE session (
  id TEXT PRIMARY KEY,
  summary TEXT NOT NULL,  -- JSON, as the session sends it
  status TEXT NOT NULL,
  ask INTEGER NOT NULL DEFAULT 0,
  demand INTEGER NOT NULL DEFAULT 0,
  turns INTEGER NOT NULL DEFAULT 0,
  slot TEXT NOT NULL DEFAULT 'none' CHECK (slot IN ('none', 'requested', 'granted')),
  position INTEGER NOT NULL DEFAULT 0,
  slot_asked_at INTEGER NOT NULL DEFAULT 0,
  told TEXT NOT NULL DEFAULT '',  -- what it was last told of the sandbox
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The steps of the newest provisioning, in order.
CREATE TABLE step (
  name TEXT PRIMARY KEY,
  ordinal INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL DEFAULT 0,
  detail TEXT NOT NULL DEFAULT '',
  log TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE changed_file (
  path TEXT PRIMARY KEY,
  old_path TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL,
  additions INTEGER NOT NULL,
  deletions INTEGER NOT NULL,
  is_binary INTEGER NOT NULL,
  cut INTEGER NOT NULL,
  patch TEXT NOT NULL
) WITHOUT ROWID;

-- What people asked for and takes longer than a turn.
CREATE TABLE operation (
  id TEXT PRIMARY KEY,
  what TEXT NOT NULL CHECK (what IN ('refresh_diff', 'commit', 'message')),
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  result TEXT NOT NULL DEFAULT 'null',
  error TEXT NOT NULL DEFAULT '',
  by TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
