ALTER TABLE session ADD COLUMN held TEXT NOT NULL DEFAULT '';           -- a budget that is used up: nothing may run
ALTER TABLE session ADD COLUMN mcp_servers TEXT NOT NULL DEFAULT '[]';  -- JSON

CREATE TABLE turn_2 (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  prompt TEXT NOT NULL,
  request TEXT NOT NULL,  -- JSON-RPC id: the response with it ends the turn
  effect TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ending TEXT NOT NULL DEFAULT '' CHECK (ending IN ('', 'cancelled', 'deadline', 'budget')),
  outcome TEXT NOT NULL DEFAULT '',  -- JSON: the effect's own news, which count when the feed brings none
  refused INTEGER NOT NULL DEFAULT 0
);
INSERT INTO turn_2 SELECT id, prompt, request, effect, started_at, ending, outcome, refused FROM turn;
DROP TABLE turn;
ALTER TABLE turn_2 RENAME TO turn;
