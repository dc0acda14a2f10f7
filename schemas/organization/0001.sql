-- One organization: what its screens need, materialized here by messages that its children push up.
CREATE TABLE settings (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  display_name TEXT NOT NULL,
  default_agent TEXT NOT NULL,
  default_model TEXT,
  default_mode TEXT,
  default_provider TEXT NOT NULL,
  branch_prefix TEXT NOT NULL,
  max_running INTEGER,
  requirements TEXT NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE members (
  user TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
  added_by TEXT NOT NULL,
  added_at INTEGER NOT NULL
) WITHOUT ROWID;

-- `probe` is the effect that checks now: the outcome of an earlier one says nothing any more.
CREATE TABLE repositories (
  repository TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  credential TEXT,
  base_branch TEXT,
  setup_command TEXT,
  environment TEXT NOT NULL,
  cache_folder TEXT,
  network TEXT,
  state TEXT NOT NULL CHECK (state IN ('checking', 'ready', 'error')),
  probe TEXT NOT NULL,
  default_branch TEXT,
  empty INTEGER NOT NULL DEFAULT 0 CHECK (empty IN (0, 1)),
  error TEXT,
  added_by TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  checked_at INTEGER
) WITHOUT ROWID;

-- The index of tasks: everything that an actor needs to initialize itself. `made` once its actor was asked for.
CREATE TABLE tasks (
  task TEXT PRIMARY KEY,
  repository TEXT NOT NULL REFERENCES repositories,
  branch TEXT NOT NULL,
  existing_branch INTEGER NOT NULL CHECK (existing_branch IN (0, 1)),
  base_branch TEXT,
  description TEXT NOT NULL,
  prompt TEXT,
  agent TEXT NOT NULL,
  model TEXT,
  mode TEXT,
  provider TEXT NOT NULL,
  requirements TEXT NOT NULL,
  created_by TEXT NOT NULL,
  made INTEGER NOT NULL CHECK (made IN (0, 1)),
  deleting INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1)),
  discard INTEGER NOT NULL DEFAULT 0 CHECK (discard IN (0, 1))
) WITHOUT ROWID;
CREATE UNIQUE INDEX task_branches ON tasks (repository, branch);

-- What a list of tasks shows; its task pushes it. `words` is what a search looks at, in lower case. The indexes hold all
-- that a list filters by, so that a row is read only when it is shown.
CREATE TABLE summaries (
  task TEXT PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
  title TEXT NOT NULL COLLATE NOCASE,
  words TEXT NOT NULL,
  repository TEXT NOT NULL,
  status TEXT NOT NULL,
  owner TEXT NOT NULL,
  position INTEGER,
  step TEXT,
  sandbox_state TEXT NOT NULL,
  sessions TEXT NOT NULL,
  files INTEGER NOT NULL,
  additions INTEGER NOT NULL,
  deletions INTEGER NOT NULL,
  error TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX summaries_updated ON summaries (updated_at, task, status, repository, owner, words);
CREATE INDEX summaries_created ON summaries (created_at, task, status, repository, owner, words);
CREATE INDEX summaries_title ON summaries (title, task, status, repository, owner, words);

-- Kept by triggers, so that a snapshot counts 50,000 tasks without reading them.
CREATE TABLE counts (
  status TEXT PRIMARY KEY,
  tasks INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER count_new AFTER INSERT ON summaries BEGIN
  INSERT INTO counts VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER count_gone AFTER DELETE ON summaries BEGIN
  UPDATE counts SET tasks = tasks - 1 WHERE status = OLD.status;
END;
CREATE TRIGGER count_changed AFTER UPDATE OF status ON summaries WHEN OLD.status != NEW.status BEGIN
  UPDATE counts SET tasks = tasks - 1 WHERE status = OLD.status;
  INSERT INTO counts VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET tasks = tasks + 1;
END;

CREATE TABLE sandboxes (
  sandbox TEXT PRIMARY KEY,
  holder TEXT,
  state TEXT NOT NULL,
  tier TEXT,
  released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sandboxes_updated ON sandboxes (updated_at);

-- As capacity last said; no row: never low.
CREATE TABLE disk (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  low INTEGER NOT NULL CHECK (low IN (0, 1)),
  free_bytes INTEGER NOT NULL,
  total_bytes INTEGER NOT NULL
);
