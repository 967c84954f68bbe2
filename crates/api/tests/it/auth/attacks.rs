//! Tokens that must be refused.

use reqwest::Method;
use serde_json::json;

use super::tokens::{Issuer, RSA_PUBLIC, SECRET, api, base64url, claims, hs256, list, now, signed, token};
use crate::response::Response;
use crate::service::Api;

const SCOPE: &str = "orders:read";

/// Asserts that the token is rejected, and returns the detail.
async fn refused(api: &Api, token: &str) -> String {
    let response = list(api, token).await;
    let detail = response.problem(401, "/api/orders").to_owned();
    let challenge = response.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with("Bearer realm=\"throughline\", error=\"invalid_token\""),
        "{challenge}"
    );
    detail
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let api = api().await;
    for algorithm in ["none", "None", "NONE", ""] {
        let header = json!({ "alg": algorithm });
        refused(&api, &signed(&header, &claims("ada", SCOPE), |_| Vec::new())).await;
    }
    let good = token("ada", SCOPE);
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    refused(&api, &format!("{unsigned}.")).await;
    refused(&api, unsigned).await;
    assert_eq!(list(&api, &good).await.status, 200);
}

#[tokio::test]
async fn a_public_key_is_not_accepted_as_an_hmac_secret() {
    let key = tempfile("rsa.pub.pem", RSA_PUBLIC);
    let api = Api::with(&[("AUTH", "jwt"), ("JWT_PUBLIC_KEY_FILE", &key)]).await;
    for secret in [RSA_PUBLIC, RSA_PUBLIC.trim()] {
        let forged = hs256(secret.as_bytes(), &claims("ada", SCOPE));
        assert_eq!(
            refused(&api, &forged).await,
            "The token is signed with another algorithm."
        );
    }
    let good = Issuer::rsa().token("any", &claims("ada", SCOPE));
    assert_eq!(list(&api, &good).await.status, 200);
}

#[tokio::test]
async fn expiry_and_not_before_are_checked_with_some_leeway() {
    let api = api().await;
    let with = |exp: u64, nbf: u64| {
        hs256(
            SECRET.as_bytes(),
            &json!({ "sub": "ada", "scope": SCOPE, "exp": exp, "nbf": nbf }),
        )
    };
    assert_eq!(
        refused(&api, &with(now() - 40, 0)).await,
        "The token has expired."
    );
    assert_eq!(
        refused(&api, &with(now() + 99, now() + 60)).await,
        "The token is not valid yet."
    );
    assert_eq!(list(&api, &with(now() - 5, now() + 5)).await.status, 200);

    let endless = hs256(SECRET.as_bytes(), &json!({ "sub": "ada", "scope": SCOPE }));
    assert_eq!(
        refused(&api, &endless).await,
        "The token lacks a claim that is required."
    );
    for exp in [json!("tomorrow"), json!(null), json!(-1), json!([now() + 99])] {
        refused(
            &api,
            &hs256(
                SECRET.as_bytes(),
                &json!({ "sub": "ada", "scope": SCOPE, "exp": exp }),
            ),
        )
        .await;
    }
}

#[tokio::test]
async fn a_token_that_is_valid_for_too_long_is_refused() {
    let valid_for = |days: u64| {
        let claims = json!({ "sub": "ada", "scope": SCOPE, "exp": now() + days * 86_400 - 60 });
        hs256(SECRET.as_bytes(), &claims)
    };
    let api = api().await;
    assert_eq!(list(&api, &valid_for(1)).await.status, 200);
    for days in [2, 36_500] {
        let detail = refused(&api, &valid_for(days)).await;
        assert_eq!(detail, "The token is valid for too long.");
    }
    let setting = ("JWT_MAX_LIFETIME", "90d");
    let api = Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET), setting]).await;
    assert_eq!(list(&api, &valid_for(90)).await.status, 200);
}

#[tokio::test]
async fn a_token_of_another_type_is_refused() {
    let api = api().await;
    let of_type = |typ: &serde_json::Value| {
        let mut header = json!({ "alg": "HS256" });
        if !typ.is_null() {
            header["typ"] = typ.clone();
        }
        signed(&header, &claims("ada", SCOPE), |message| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
            ring::hmac::sign(&key, message).as_ref().to_vec()
        })
    };
    for typ in [
        json!(null),
        json!("JWT"),
        json!("at+jwt"),
        json!("application/at+JWT"),
    ] {
        assert_eq!(list(&api, &of_type(&typ)).await.status, 200, "{typ}");
    }
    for typ in ["logout+jwt", "dpop+jwt", "application/secevent+jwt", "JOSE", ""] {
        let detail = refused(&api, &of_type(&json!(typ))).await;
        assert_eq!(detail, "The token is of another type.", "{typ}");
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_audience_is_refused() {
    let api = Api::with(&[
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("JWT_ISSUER", "https://id.example"),
        ("JWT_AUDIENCE", "orders"),
    ])
    .await;
    let with = |iss: serde_json::Value, aud: serde_json::Value| {
        let claims = json!({ "sub": "ada", "scope": SCOPE, "exp": now() + 60, "iss": iss, "aud": aud });
        hs256(SECRET.as_bytes(), &claims)
    };
    let good = json!("https://id.example");
    assert_eq!(list(&api, &with(good.clone(), json!("orders"))).await.status, 200);
    assert_eq!(
        list(&api, &with(good.clone(), json!(["mail", "orders"])))
            .await
            .status,
        200
    );
    refused(&api, &with(json!("https://id.example.evil"), json!("orders"))).await;
    refused(&api, &with(good.clone(), json!("mail"))).await;
    refused(&api, &with(good, json!([]))).await;
    assert_eq!(
        refused(&api, &token("ada", SCOPE)).await,
        "The token lacks a claim that is required."
    );
}

#[tokio::test]
async fn a_changed_or_malformed_token_is_refused() {
    let api = api().await;
    let good = token("ada", SCOPE);
    let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}");
    };
    let admin = base64url(claims("ada", "orders:admin").to_string());
    let other_secret = hs256(&[b'x'; 32], &claims("ada", SCOPE));
    let critical = signed(
        &json!({ "alg": "HS256", "crit": ["b64"] }),
        &claims("ada", SCOPE),
        |m| {
            ring::hmac::sign(
                &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes()),
                m,
            )
            .as_ref()
            .to_vec()
        },
    );
    let long = format!("{good}{}", "x".repeat(20_000));
    for token in [
        format!("{header}.{admin}.{signature}"),
        format!("{good}.x"),
        format!("{good}="),
        "x".to_owned(),
        "..".to_owned(),
        other_secret,
        critical,
        long,
        hs256(SECRET.as_bytes(), &claims("", SCOPE)),
        hs256(SECRET.as_bytes(), &claims("a\0b", SCOPE)),
        hs256(
            SECRET.as_bytes(),
            &json!({ "sub": 7, "scope": SCOPE, "exp": now() + 60 }),
        ),
    ] {
        refused(&api, &token).await;
    }
    let twice = api.request(Method::GET, "/api/orders").bearer_auth(&good);
    let twice = Response::of(twice.header("authorization", "Bearer x")).await;
    assert_eq!(twice.status, 401);
    insta::assert_json_snapshot!("invalid_token", twice.snapshot());
    // Only the header carries a token; a query would be logged.
    assert_eq!(
        api.get(&format!("/api/orders?access_token={good}")).await.status,
        401
    );
}

#[tokio::test]
async fn no_token_is_in_a_log_or_a_span() {
    let lens = testkit::lens().await.unwrap();
    let url = lens.otlp_http_url();
    let api = Api::with(&[
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("RUST_LOG", "debug"),
    ])
    .await;
    let (good, bad) = (token("ada", SCOPE), token("ada", ""));
    list(&api, &good).await;
    list(&api, &bad).await;
    list(&api, &format!("{good}x")).await;
    api.get(&format!("/api/orders?access_token={good}")).await;
    let trace = lens
        .trace_with_span("GET /api/orders", |trace| !trace.spans.is_empty())
        .await;
    let spans = format!("{trace:?}{:?}", lens.store().traces());
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in [signature(&good), signature(&bad), SECRET.to_owned()] {
        assert!(!spans.contains(&secret), "{spans}");
        assert!(!api.log().contains(&secret), "{}", api.log());
    }
}

/// A file in a new folder. It is not deleted.
fn tempfile(name: &str, content: &str) -> String {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}
