//! Replaces secrets in query strings: keys are preserved, values removed.

use std::borrow::Cow;

/// Keys whose values are secrets: those of the semantic conventions, and common names of credentials.
const SECRET: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "awsaccesskeyid",
    "client_secret",
    "code",
    "id_token",
    "key",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-signature",
    "x-goog-signature",
];

const REDACTED: &str = "REDACTED";

/// The query with the values of secret keys replaced.
pub(crate) fn query(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(|pair| is_secret(key(pair))) {
        return Cow::Borrowed(query);
    }
    let redacted = query.split('&').map(|pair| match key(pair) {
        secret if is_secret(secret) => Cow::Owned(format!("{secret}={REDACTED}")),
        _ => Cow::Borrowed(pair),
    });
    Cow::Owned(redacted.collect::<Vec<_>>().join("&"))
}

/// `url.full`: without credentials, secrets in the query, and the fragment.
#[cfg(feature = "reqwest")]
pub(crate) fn url(url: &url::Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    if !shown.username().is_empty() || shown.password().is_some() {
        // Both fail only for URLs without a host, which cannot have credentials.
        let _ = shown.set_username(REDACTED);
        let _ = shown.set_password(Some(REDACTED));
    }
    if let Some(query) = url.query() {
        shown.set_query(Some(&self::query(query)));
    }
    shown.into()
}

fn key(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

fn is_secret(key: &str) -> bool {
    SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_the_rest_is_preserved() {
        assert_eq!(query("status=pending&limit=20"), "status=pending&limit=20");
        assert_eq!(
            query("Token=abc&limit=1&sig=x=y"),
            "Token=REDACTED&limit=1&sig=REDACTED"
        );
        assert_eq!(query(""), "");
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn credentials_in_a_url_are_replaced() {
        let shown = url(&"https://user:pass@example.com/a?api_key=1&b=2#frag"
            .parse()
            .unwrap());
        assert_eq!(
            shown,
            "https://REDACTED:REDACTED@example.com/a?api_key=REDACTED&b=2"
        );
    }
}
