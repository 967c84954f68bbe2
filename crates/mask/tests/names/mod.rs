//! Names of fields, for the tests of everything that masks.

/// Their values are masked as a whole.
pub(crate) const SENSITIVE: &[&str] = &[
    "password",
    "user.Password",
    "clientSecret",
    "X-Api-Key",
    "payment_token",
    "http.request.header.authorization",
    "set-cookie",
    "customer.phone",
    "card_number",
    "session",
    "app.session",
    "connect.sid",
    "otp",
    "user.pin",
    "userPin",
    "passcode",
    "ssn",
    "customer_iban",
    "jwt",
    "idJwt",
];
/// Their values stay.
pub(crate) const OTHERS: &[&str] = &[
    "network.protocol.version",
    "http.auth.present",
    "order.amount",
    "db.collection.name",
    "tokens_used",
    "spin",
    "inside",
    "sessions",
    "session.count",
    "shipping",
    "mapping",
    "",
];
