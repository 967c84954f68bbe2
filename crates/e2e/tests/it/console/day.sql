-- Orders of the last 24 hours, and the samples of the charts. The gateway was unavailable for 10 minutes an
-- hour ago: orders waited, and some failed (see seed.rs). Everything follows from the number of the row, so that
-- two runs show the same day.
INSERT INTO orders (id, amount, created_at, updated_at, completed_at, attempt, customer, currency, status,
    payment_method, payment_status, payment_id, failure_code, failure_detail, items)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000d' || lpad(to_hex(n), 15, '0'))::uuid,
    amount * quantity, at, at + took, at + took, 1 + (code IS NOT NULL)::int * 2,
    (ARRAY['ada', 'grace', 'barbara', 'edsger', 'donald', 'margaret', 'alan', 'katherine'])[1 + n % 8] || '-' || n % 997,
    currency, CASE WHEN code IS NULL THEN 'completed' ELSE 'failed' END,
    'credit_card', CASE WHEN code IS NULL THEN 'charged' WHEN code = 'card_declined' THEN 'refused' ELSE 'cancelled' END,
    'pi_' || substr(md5(n::text), 1, 24), code,
    CASE code WHEN 'card_declined' THEN 'The card was declined.'
        WHEN 'amount_mismatch' THEN 'The amount is not the sum of the items.' END,
    jsonb_build_array(jsonb_build_object('product_name', product, 'quantity', quantity, 'unit_price_minor', amount))
FROM (
    SELECT n, at, 1 + n % 3 AS quantity, 990 + (n * 7919) % 48000 AS amount,
        (ARRAY['Teapot', 'Tea, Darjeeling, 100 g', 'Kettle, 1.7 l', 'Cup, set of 4', 'Tray, walnut'])[1 + n % 5] AS product,
        CASE n % 11 WHEN 0 THEN 'GBP' WHEN 1 THEN 'EUR' WHEN 2 THEN 'EUR' ELSE 'USD' END AS currency,
        interval '1 ms' * (20 + n % 90) AS took,
        CASE
            WHEN n % 131 = 0 THEN 'card_declined'
            WHEN n % 5003 = 0 THEN 'amount_mismatch'
        END AS code
    FROM (SELECT n, now() - interval '24 h' + n * interval '24 h' / 40000 - interval '30 s' AS at
        FROM generate_series(1, 40000) AS n) AS numbered
) AS described;
UPDATE orders SET final_payment_id = payment_id;

-- The leader has written that nothing happened.
DELETE FROM order_samples;
INSERT INTO order_samples (bucket, created, completed, cancelled, failed, p50, p99, waiting_for_gateway,
    waiting_for_backoff, waiting_for_dispatch, paused, oldest_age, waiting_jobs, gateway_available)
SELECT bucket, created,
    CASE WHEN out THEN 0 WHEN after THEN created * 2 ELSE greatest(created - declined, 0) END, n % 3000 / 2999,
    CASE
        WHEN out THEN jsonb_build_object('payment_deadline', 40)
        WHEN declined > 0 THEN jsonb_build_object('card_declined', declined)
        ELSE '{}'
    END,
    0.041 + noise % 7 * 0.001, CASE WHEN out OR after THEN 240 + noise % 60 ELSE 0.09 + noise % 13 * 0.003 END,
    CASE WHEN out THEN (minutes + 60) * 140 WHEN after THEN noise % 9 * 30 ELSE 0 END, noise % 5, noise % 3, false,
    CASE WHEN out THEN 30 + (minutes + 60) * 50 ELSE 0.2 + noise % 9 * 0.02 END, noise % 4, NOT out
FROM (
    SELECT n, bucket, minutes, noise, minutes BETWEEN -60 AND -50 AS out, minutes BETWEEN -50 AND -47 AS after,
        (62 + 28 * sin(minutes / 229 + 2) + noise % 17 - 8)::int AS created, (noise % 13 = 0)::int AS declined
    FROM (SELECT n, date_bin('10 s', now(), 'epoch') - n * interval '10 s' AS bucket, -n / 6.0 AS minutes,
            hashint4(n) & 65535 AS noise
        FROM generate_series(1, 8640) AS n) AS numbered
) AS described
ON CONFLICT DO NOTHING;
ANALYZE orders, order_samples;
