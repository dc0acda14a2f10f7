-- The record of an organization: appended to, never changed. `actor` is who sent the entry.
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  principal TEXT NOT NULL,
  kind TEXT NOT NULL,
  actor TEXT,
  repository TEXT,
  task TEXT,
  branch TEXT,
  session TEXT,
  payload TEXT NOT NULL,
  previous TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX entries_of_task ON entries (task) WHERE task IS NOT NULL;
CREATE INDEX entries_of_session ON entries (session) WHERE session IS NOT NULL;
CREATE INDEX entries_of_repository ON entries (repository) WHERE repository IS NOT NULL;
CREATE INDEX entries_of_principal ON entries (principal);
CREATE INDEX entries_of_kind ON entries (kind);
