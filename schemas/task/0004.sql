-- Whether the owner became that by an act of their own; else nothing of theirs is shown to a remote.
ALTER TABLE task ADD COLUMN taken INTEGER NOT NULL DEFAULT 1;
