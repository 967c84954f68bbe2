ALTER TABLE orders DROP COLUMN erased_at;
