-- Who may do what on this instance. Secrets are kept as SHA-256 alone; the id of a token or session is the first
-- 16 hex digits of its hash.
CREATE TABLE users (
  user TEXT PRIMARY KEY,
  display_name TEXT NOT NULL,
  admin INTEGER NOT NULL CHECK (admin IN (0, 1)),
  state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE tokens (
  token TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
  label TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER
) WITHOUT ROWID;
CREATE INDEX tokens_of_user ON tokens (user, created_at);
CREATE INDEX tokens_by_end ON tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sessions (
  session TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
  label TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE links (
  hash TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX links_of_user ON links (user, created_at);
CREATE INDEX links_by_end ON links (expires_at);

CREATE TABLE organizations (
  organization TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Pushed up by organizations. A row whose user is not known yet is an invitation: it counts once the user is made.
CREATE TABLE memberships (
  user TEXT NOT NULL,
  organization TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (user, organization)
) WITHOUT ROWID;
CREATE INDEX members_of_organization ON memberships (organization);

-- Counts what the directory of principals must follow.
CREATE TABLE directory_changes (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  count INTEGER NOT NULL
);
INSERT INTO directory_changes VALUES (1, 0);
