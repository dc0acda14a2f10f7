-- Budgets, and the MCP servers of tasks that name none.
ALTER TABLE settings ADD COLUMN mcp_servers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tasks ADD COLUMN mcp_servers TEXT;

-- What each task said that it used, by person; what is new of it is added to `spent`.
CREATE TABLE usage (
  task TEXT NOT NULL,
  person TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  cost REAL NOT NULL,
  PRIMARY KEY (task, person)
) WITHOUT ROWID;

-- Of all tasks that ever were; the person '' is the organization. In `budgets` too.
CREATE TABLE spent (
  person TEXT PRIMARY KEY,
  tokens INTEGER NOT NULL,
  cost REAL NOT NULL,
  currency TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE budgets (
  person TEXT PRIMARY KEY,
  tokens INTEGER,
  cost REAL
) WITHOUT ROWID;

-- Tasks that were told that nothing may run, and why.
CREATE TABLE held (
  task TEXT PRIMARY KEY,
  why TEXT NOT NULL
) WITHOUT ROWID;
