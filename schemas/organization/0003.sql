-- Where the organization wants to hear of its tasks, and how the newest notifications went.
CREATE TABLE webhook (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  url TEXT NOT NULL,
  secret TEXT NOT NULL DEFAULT '',  -- the name of one
  events TEXT NOT NULL,             -- JSON: which
  waiting INTEGER NOT NULL DEFAULT 0,
  delivered_at INTEGER NOT NULL DEFAULT 0,
  failed_at INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT ''
);
