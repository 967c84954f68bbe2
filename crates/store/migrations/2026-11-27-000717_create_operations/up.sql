-- Changes to many orders at once, which an operator requested. A worker executes them in batches, from the
-- newest order that matches to the oldest. See crates/store/src/operations.rs.
CREATE TABLE operations (
    id          uuid        PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    -- Orders that matched when the operation was created, and those that it has changed since.
    matched     bigint      NOT NULL DEFAULT 0,
    done        bigint      NOT NULL DEFAULT 0,
    -- The last order that the operation has passed.
    position    uuid        NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    kind        text        NOT NULL,
    actor       text        NOT NULL,
    filter      jsonb       NOT NULL
);
CREATE INDEX operations_unfinished ON operations (id) WHERE finished_at IS NULL;

-- One row. While paused_at is set, workers claim no orders.
CREATE TABLE queue_state (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    paused_at timestamptz,
    paused_by text
);
INSERT INTO queue_state DEFAULT VALUES;

-- What happened within 10 seconds, for charts. The leader writes a row when its 10 seconds are over, and
-- deletes it after 26 hours. Times are in seconds.
CREATE TABLE order_samples (
    bucket               timestamptz PRIMARY KEY,
    created              integer NOT NULL,
    completed            integer NOT NULL,
    cancelled            integer NOT NULL,
    -- {code: number}
    failed               jsonb   NOT NULL,
    -- From the creation of the orders that became final to their final state.
    p50                  real,
    p99                  real,
    -- The state when the row was written; NULL where it was written later, because no worker was the leader.
    waiting_for_gateway  bigint,
    waiting_for_backoff  bigint,
    waiting_for_dispatch bigint,
    paused               boolean,
    oldest_age           real,
    waiting_jobs         bigint,
    gateway_available    boolean
);

-- payment_id, once the order is final. An index of payment_id itself would make the update that records an
-- intent write to every index of the table.
ALTER TABLE orders ADD COLUMN final_payment_id text;

-- How long the totals are used beside the usual time: counting them took long, and is not repeated at once.
ALTER TABLE order_totals_state ADD COLUMN rest interval NOT NULL DEFAULT '0';
