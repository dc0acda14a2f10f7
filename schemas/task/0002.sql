-- Pushing, and taking in what others did to the base.
ALTER TABLE task ADD COLUMN pushed TEXT NOT NULL DEFAULT 'null';  -- JSON: commit, at, by, link?: the newest push
ALTER TABLE task ADD COLUMN merge TEXT NOT NULL DEFAULT 'null';   -- JSON: branch, commit, files: a merge that waits

CREATE TABLE operation_2 (
  id TEXT PRIMARY KEY,
  what TEXT NOT NULL CHECK (what IN ('refresh_diff', 'commit', 'message', 'push', 'update', 'abort_update')),
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  result TEXT NOT NULL DEFAULT 'null',
  error TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '',  -- of the problem, when it failed
  by TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO operation_2 (id, what, state, result, error, by, started_at, ended_at)
  SELECT id, what, state, result, error, by, started_at, ended_at FROM operation;
DROP TABLE operation;
ALTER TABLE operation_2 RENAME TO operation;
