-- Work that one process at a time does for the whole database. A process holds the row until ends_at; after
-- that any other may take it. A row instead of an advisory lock: it works behind a connection pooler, and it
-- ends by itself when its holder hangs.
CREATE TABLE leases (
    name    text        PRIMARY KEY,
    holder  uuid        NOT NULL,
    ends_at timestamptz NOT NULL
);
