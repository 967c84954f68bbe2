//! The tables for diesel. `migrations/` creates them, and documents the columns.

diesel::table! {
    orders (id) {
        id -> Uuid,
        claim_token -> Nullable<Uuid>,
        amount -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        dispatch_after -> Nullable<Timestamptz>,
        completed_at -> Nullable<Timestamptz>,
        erased_at -> Nullable<Timestamptz>,
        attempt -> Integer,
        attempts_forgiven -> Integer,
        attempts_two_step -> Integer,
        crashes -> Integer,
        waiting_since -> Nullable<Timestamptz>,
        payments_refused -> Integer,
        customer -> Text,
        currency -> Text,
        status -> Text,
        payment_method -> Nullable<Text>,
        payment_token -> Nullable<Text>,
        payment_status -> Text,
        payment_id -> Nullable<Text>,
        final_payment_id -> Nullable<Text>,
        failure_code -> Nullable<Text>,
        failure_detail -> Nullable<Text>,
        items -> Jsonb,
        trace_context -> Jsonb,
        attempt_trace_context -> Nullable<Jsonb>,
        history -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency_keys (customer, key) {
        created_at -> Timestamptz,
        order_id -> Uuid,
        customer -> Text,
        key -> Text,
        fingerprint -> Binary,
        fingerprint_version -> SmallInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(idempotency_keys, orders);
