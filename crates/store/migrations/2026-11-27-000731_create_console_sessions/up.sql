-- The sessions of the operators' console: few rows, and short-lived. A session's id is only in its cookie;
-- here is its SHA-256, so that a copy of the table opens no session.
CREATE TABLE console_sessions (
    id_hash    bytea       PRIMARY KEY CHECK (octet_length(id_hash) = 32),
    expires_at timestamptz NOT NULL,
    subject    text        NOT NULL CHECK (subject <> ''),
    -- The scope of the token with which the session began: orders:admin or orders:observe.
    scope      text        NOT NULL,
    -- Each form that changes something carries it.
    csrf       text        NOT NULL CHECK (csrf <> '')
);
