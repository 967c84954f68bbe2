ALTER TABLE orders DROP COLUMN history;
