DROP TRIGGER orders_inserted_final ON orders;
DROP TRIGGER orders_changed_final ON orders;
DROP TRIGGER orders_deleted_final ON orders;
DROP TRIGGER orders_truncated ON orders;
DROP FUNCTION order_totals_record_change, order_totals_record_deletion, order_totals_start_again;
DROP TABLE order_totals, order_totals_state, order_totals_changes;
ALTER TABLE leases RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE idempotency_keys RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_scale_factor,
    autovacuum_analyze_scale_factor
);
