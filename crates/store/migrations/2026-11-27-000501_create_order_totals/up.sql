-- Totals of all orders without reading them. A worker moves a watermark along orders.completed_at: what became
-- final up to it is counted in order_totals. What became final later, and what is not final, is few and is
-- counted each time. See crates/store/src/totals.rs.
CREATE TABLE order_totals (
    status   text    NOT NULL,
    currency text    NOT NULL,
    count    bigint  NOT NULL,
    sum      numeric NOT NULL,
    PRIMARY KEY (status, currency)
);

-- One row.
CREATE TABLE order_totals_state (
    only_row     boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Everything up to (watermark, watermark_id), by (completed_at, id), is in order_totals.
    watermark    timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00Z',
    watermark_id uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    -- The latest totals, and when they were correct.
    taken_at     timestamptz,
    totals       jsonb
);
INSERT INTO order_totals_state DEFAULT VALUES;

-- Changes to final orders: a retry, a deletion, an order that is stored as final with a time in the past. A
-- change counts if its (completed_at, order_id) is up to the watermark. The change of an order beyond it does
-- not: that order is read when the watermark passes it.
CREATE TABLE order_totals_changes (
    completed_at timestamptz NOT NULL,
    order_id     uuid        NOT NULL,
    status       text        NOT NULL,
    currency     text        NOT NULL,
    count        bigint      NOT NULL,
    sum          numeric     NOT NULL
);
CREATE INDEX order_totals_changes_by_time ON order_totals_changes (completed_at, order_id);

-- The conditions below are false when an order is created, claimed, completed, failed or cancelled.
CREATE FUNCTION order_totals_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.completed_at IS NOT NULL THEN
        INSERT INTO order_totals_changes
            VALUES (OLD.completed_at, OLD.id, OLD.status, OLD.currency, -1, -OLD.amount);
    END IF;
    IF NEW.completed_at IS NOT NULL THEN
        INSERT INTO order_totals_changes
            VALUES (NEW.completed_at, NEW.id, NEW.status, NEW.currency, 1, NEW.amount);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_inserted_final AFTER INSERT ON orders
    FOR EACH ROW WHEN (NEW.completed_at < now()) EXECUTE FUNCTION order_totals_record_change();
CREATE TRIGGER orders_changed_final AFTER UPDATE OF completed_at ON orders
    FOR EACH ROW WHEN (OLD.completed_at IS NOT NULL OR NEW.completed_at < now())
    EXECUTE FUNCTION order_totals_record_change();

-- One change for each status and currency. The watermark only grows, so what it has passed may have any time.
CREATE FUNCTION order_totals_record_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_totals_changes
        SELECT CASE WHEN passed THEN '0001-01-01 00:00:00Z' ELSE completed_at END,
            CASE WHEN passed THEN '00000000-0000-0000-0000-000000000000' ELSE id END,
            status, currency, -count(*), -sum(amount)
        FROM (SELECT gone.*, (completed_at, id) <= (watermark, watermark_id) AS passed
            FROM gone, order_totals_state WHERE completed_at IS NOT NULL) AS final
        GROUP BY 1, 2, status, currency;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_deleted_final AFTER DELETE ON orders REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION order_totals_record_deletion();

CREATE FUNCTION order_totals_start_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM order_totals;
    DELETE FROM order_totals_changes;
    UPDATE order_totals_state SET watermark = DEFAULT, watermark_id = DEFAULT, taken_at = NULL, totals = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_truncated AFTER TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION order_totals_start_again();

-- Updated every second: each page has room for many versions of its few rows, and pruning a page as it is
-- read frees them, so a vacuum is needed rarely. The default, 50 dead rows, would start one every minute.
ALTER TABLE order_totals SET (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE order_totals_state
    SET (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE leases SET (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
-- As many rows are deleted as are inserted, at the left edge of idempotency_keys_by_age, where the clean-up
-- starts. Vacuums at 2 % keep that edge, and the table, free of dead rows.
ALTER TABLE idempotency_keys SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);
