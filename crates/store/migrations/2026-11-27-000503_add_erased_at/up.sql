-- When the customer's personal data was erased. Such an order stays final.
ALTER TABLE orders ADD COLUMN erased_at timestamptz;
