-- Who may run at once on this instance.
CREATE TABLE limits (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  max_running INTEGER NOT NULL
);

-- Every organization, with the most that it may run; NULL: as many as the instance lets it.
CREATE TABLE organizations (
  organization TEXT PRIMARY KEY,
  max_running INTEGER
) WITHOUT ROWID;

-- A request until it is granted, then the slot. `told` is the last position that the task was sent.
CREATE TABLE slots (
  holder TEXT PRIMARY KEY,
  organization TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'granted', 'asked')),
  number INTEGER NOT NULL UNIQUE,
  since INTEGER NOT NULL,
  until INTEGER,
  told INTEGER
) WITHOUT ROWID;
CREATE INDEX slots_by_state ON slots (state, number);
CREATE INDEX slots_of_organization ON slots (organization, state);
CREATE INDEX slots_by_end ON slots (until) WHERE until IS NOT NULL;

-- The last number that a request got.
CREATE TABLE numbers (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  last INTEGER NOT NULL
);
INSERT INTO numbers VALUES (1, 0);

CREATE TABLE disk (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  free_bytes INTEGER NOT NULL,
  total_bytes INTEGER NOT NULL,
  low INTEGER NOT NULL CHECK (low IN (0, 1))
);
