//! Query strings without their secrets: the key stays, the value goes.

use std::borrow::Cow;

/// Keys whose values are secrets: those of the semantic conventions, and the usual names of credentials.
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

/// The URL as `url.full` may show it: no credentials, no secret in the query, no fragment.
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
    fn secrets_go_and_the_rest_stays() {
        assert_eq!(query("status=pending&limit=20"), "status=pending&limit=20");
        assert_eq!(
            query("Token=abc&limit=1&sig=x=y"),
            "Token=REDACTED&limit=1&sig=REDACTED"
        );
        assert_eq!(query(""), "");
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn a_url_loses_its_credentials() {
        let shown = url(&"https://user:pass@example.com/a?api_key=1&b=2#frag"
            .parse()
            .unwrap());
        assert_eq!(
            shown,
            "https://REDACTED:REDACTED@example.com/a?api_key=REDACTED&b=2"
        );
    }
}
