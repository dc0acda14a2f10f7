-- What the work used, what it may use, and the MCP servers that its agents are given.
ALTER TABLE task ADD COLUMN budget TEXT NOT NULL DEFAULT 'null';       -- JSON: tokens?, cost?
ALTER TABLE task ADD COLUMN held TEXT NOT NULL DEFAULT '';             -- by the organization: why nothing may run
ALTER TABLE task ADD COLUMN mcp_servers TEXT NOT NULL DEFAULT '[]';    -- JSON

-- By who owned the task when it was used. Never goes down, also when a session is removed.
CREATE TABLE usage (
  person TEXT PRIMARY KEY,
  tokens INTEGER NOT NULL,
  cost REAL NOT NULL,
  currency TEXT NOT NULL
) WITHOUT ROWID;
