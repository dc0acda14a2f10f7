-- One conversation with one agent. The transcript is a stream of the runtime; these tables hold what decides and what
-- a snapshot shows.
CREATE TABLE session (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  status TEXT NOT NULL
    CHECK (status IN ('pending', 'starting', 'ready', 'running', 'needs_input', 'idle', 'error', 'closed')),
  error TEXT NOT NULL DEFAULT '',
  agent TEXT NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  title_by TEXT NOT NULL DEFAULT '' CHECK (title_by IN ('', 'prompt', 'agent', 'person')),
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,

  -- Limits: 0 for none.
  guard INTEGER NOT NULL DEFAULT 1,
  prompt_seconds INTEGER NOT NULL,
  permission_seconds INTEGER NOT NULL,
  max_tokens INTEGER NOT NULL DEFAULT 0,

  -- The sandbox, as the task last said.
  handle TEXT NOT NULL DEFAULT '',
  sandbox_state TEXT NOT NULL DEFAULT 'none',
  generation INTEGER NOT NULL DEFAULT 0,
  cwd TEXT NOT NULL DEFAULT '/workspace',
  environment TEXT NOT NULL DEFAULT '{}',

  -- The slot: `ask` numbers each time that this session wants to run; it may while slot = ask and asking.
  ask INTEGER NOT NULL DEFAULT 0,
  asking INTEGER NOT NULL DEFAULT 0,
  slot INTEGER NOT NULL DEFAULT 0,
  wake INTEGER NOT NULL DEFAULT 0,  -- 1: the agent is wanted although nothing is queued (session.resume)

  -- The agent's process.
  link TEXT NOT NULL DEFAULT '' CHECK (link IN ('', 'starting', 'up')),
  links INTEGER NOT NULL DEFAULT 0,  -- counts starts, names connections
  connection TEXT NOT NULL DEFAULT '',
  link_generation INTEGER NOT NULL DEFAULT 0,
  start_effect TEXT NOT NULL DEFAULT '',
  start_request TEXT NOT NULL DEFAULT '',
  feed TEXT NOT NULL DEFAULT '',
  agent_session TEXT NOT NULL DEFAULT '',
  replaying INTEGER NOT NULL DEFAULT 0,    -- 1: the agent repeats what the transcript has already
  context_due INTEGER NOT NULL DEFAULT 0,  -- 1: the next prompt carries what was said before
  mode_wanted TEXT NOT NULL DEFAULT '',
  model_wanted TEXT NOT NULL DEFAULT '',
  capabilities TEXT NOT NULL DEFAULT '{}',
  agent_info TEXT NOT NULL DEFAULT 'null',
  modes TEXT NOT NULL DEFAULT 'null',
  models TEXT NOT NULL DEFAULT 'null',
  config_options TEXT NOT NULL DEFAULT 'null',
  commands TEXT NOT NULL DEFAULT '[]',

  -- What the agent said of its work.
  plan TEXT NOT NULL DEFAULT '[]',
  guard_count INTEGER NOT NULL DEFAULT 0,  -- guards in a row; a tool call resets it
  guard_total INTEGER NOT NULL DEFAULT 0,  -- guards since a person's prompt
  turns INTEGER NOT NULL DEFAULT 0,
  context_used INTEGER NOT NULL DEFAULT 0,
  context_size INTEGER NOT NULL DEFAULT 0,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cached_read_tokens INTEGER NOT NULL DEFAULT 0,
  cached_write_tokens INTEGER NOT NULL DEFAULT 0,
  total_tokens INTEGER NOT NULL DEFAULT 0,
  cost REAL NOT NULL DEFAULT 0,            -- of this connection, which counts up
  cost_before REAL NOT NULL DEFAULT 0,     -- of the ones before it
  currency TEXT NOT NULL DEFAULT '',

  summary TEXT NOT NULL DEFAULT ''  -- what the task was last told
);

-- The prompt that the agent works on.
CREATE TABLE turn (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  prompt TEXT NOT NULL,
  request TEXT NOT NULL,  -- JSON-RPC id: the response with it ends the turn
  effect TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ending TEXT NOT NULL DEFAULT '' CHECK (ending IN ('', 'cancelled', 'deadline')),
  outcome TEXT NOT NULL DEFAULT '',  -- JSON: the effect's own news, which count when the feed brings none
  refused INTEGER NOT NULL DEFAULT 0
);

-- What waits, by position.
CREATE TABLE prompt (
  id TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  content TEXT NOT NULL,  -- JSON: ACP content blocks
  by TEXT NOT NULL,
  guard INTEGER NOT NULL DEFAULT 0,
  at INTEGER NOT NULL
) WITHOUT ROWID;

-- Calls of the running turn, merged by the agent's id.
CREATE TABLE tool_call (
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT 'pending',
  started_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE permission (
  id TEXT PRIMARY KEY,
  request TEXT NOT NULL,  -- JSON: the agent's own id
  connection TEXT NOT NULL,
  tool_call TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',  -- JSON, bounded: what it is about
  options TEXT NOT NULL,            -- JSON: as the agent offers them
  scope TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'answered', 'expired', 'withdrawn')),
  answer TEXT NOT NULL DEFAULT '',
  by TEXT NOT NULL DEFAULT '',
  asked_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX permission_by_state ON permission (state, asked_at);

-- What "always" was said to.
CREATE TABLE remembered (
  scope TEXT PRIMARY KEY,
  by TEXT NOT NULL,
  at INTEGER NOT NULL
) WITHOUT ROWID;

-- Modes and models that the agent was asked to take.
CREATE TABLE setting (
  effect TEXT PRIMARY KEY,
  what TEXT NOT NULL CHECK (what IN ('mode', 'model')),
  value TEXT NOT NULL
) WITHOUT ROWID;

-- What was said, bounded: the context for an agent that cannot load its session.
CREATE TABLE said (
  seq INTEGER PRIMARY KEY,
  who TEXT NOT NULL CHECK (who IN ('person', 'agent', 'tool')),
  text TEXT NOT NULL
);
