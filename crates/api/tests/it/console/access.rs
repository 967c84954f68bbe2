//! Sessions, and what they protect.

use reqwest::Method;

use super::browser::{Browser, api};
use crate::auth::tokens::{SECRET, claims, hs256, now, token};
use crate::response::Response;
use crate::service::Api;

#[tokio::test]
async fn a_page_without_a_session_leads_to_the_sign_in_and_back() {
    let api = api().await;
    let browser = Browser::at(&api);
    let refused = browser.get("/?range=24h").await;
    assert_eq!(refused.status, 303);
    assert_eq!(
        refused.header("location"),
        Some("/sign-in?next=%2F%3Frange%3D24h")
    );
    let form = browser.get("/sign-in?next=%2F%3Frange%3D24h").await;
    assert_eq!(form.status, 200);
    assert!(form.text.contains("value=\"/?range=24h\""), "{}", form.text);
    let fields = [
        ("token", token("root", "orders:admin")),
        ("next", "/?range=24h".to_owned()),
    ];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let signed_in = browser.post("/sign-in", &fields).await;
    assert_eq!(signed_in.header("location"), Some("/?range=24h"));
    let elsewhere = browser
        .post("/sign-in", &[fields[0], ("next", "//evil.example")])
        .await;
    assert_eq!(elsewhere.header("location"), Some("/"));
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() {
    let api = api().await;
    let fields = [("token", token("root", "orders:admin"))];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let response = Browser::at(&api).post("/sign-in", &fields).await;
    let cookie = response.header("set-cookie").unwrap();
    assert!(cookie.starts_with("session="), "{cookie}");
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    // It ends with its token, which lasts an hour.
    let age: u64 = cookie
        .split("Max-Age=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3_500..=3_660).contains(&age), "{cookie}");
}

#[tokio::test]
async fn outside_of_development_the_cookie_travels_over_tls_alone() {
    let port = testkit::free_port().unwrap().to_string();
    let production = [
        ("ENVIRONMENT", "production"),
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("JWT_ISSUER", "https://id.example"),
        ("JWT_AUDIENCE", "orders"),
        ("CONSOLE_PORT", port.as_str()),
    ];
    let mut api = Api::with(&production).await;
    api.url = format!("http://127.0.0.1:{port}");
    let mut claims = claims("root", "orders:admin");
    claims["iss"] = "https://id.example".into();
    claims["aud"] = "orders".into();
    claims["exp"] = (now() + 20 * 3600).into();
    let token = hs256(SECRET.as_bytes(), &claims);
    let response = Browser::at(&api).post("/sign-in", &[("token", &token)]).await;
    let cookie = response.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-session="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    // 12 hours, though the token lasts longer.
    assert!(cookie.contains("Max-Age=43200;"), "{cookie}");
}

#[tokio::test]
async fn only_operators_sign_in() {
    let api = api().await;
    let browser = Browser::at(&api);
    for (token, status) in [
        ("", 401),
        ("x", 401),
        (&token("ada", "orders:read orders:write"), 403),
        (
            &hs256(
                b"another secret, also of 32 bytes",
                &claims("root", "orders:admin"),
            ),
            401,
        ),
    ] {
        let refused = browser.post("/sign-in", &[("token", token)]).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert_eq!(refused.header("set-cookie"), None);
        assert!(refused.text.contains("role=\"alert\""), "{}", refused.text);
    }
    for cookie in ["session=", "session=x", "session=../../etc"] {
        let request = browser.request(Method::GET, "/").header("cookie", cookie);
        assert_eq!(Response::of(request).await.status, 303, "{cookie}");
    }
    // A token is no session: the console's pages take no header that a page of another site could not send.
    let with_token = browser
        .request(Method::GET, "/")
        .bearer_auth(token("root", "orders:admin"));
    assert_eq!(Response::of(with_token).await.status, 303);
}

#[tokio::test]
async fn sign_out_ends_the_session() {
    let api = api().await;
    let browser = Browser::signed_in(&api, &token("root", "orders:admin")).await;
    assert_eq!(browser.get("/").await.status, 200);
    let csrf = browser.csrf().await;
    let out = browser.post("/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(out.header("location"), Some("/sign-in"));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test]
async fn a_form_of_another_session_or_another_site_changes_nothing() {
    let api = api().await;
    let browser = Browser::signed_in(&api, &token("root", "orders:admin")).await;
    let other = Browser::signed_in(&api, &token("eve", "orders:admin")).await;
    let (own, foreign) = (browser.csrf().await, other.csrf().await);
    assert_ne!(own, foreign);
    for csrf in ["", "x", &foreign] {
        assert_eq!(
            browser.post("/sign-out", &[("csrf", csrf)]).await.status,
            403,
            "{csrf}"
        );
    }
    assert_eq!(browser.post("/sign-out", &[]).await.status, 403);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("x-nothing", ""),
    ] {
        let request = browser.request(Method::POST, "/sign-out").header(name, value);
        assert_eq!(
            Response::of(request.form(&[("csrf", &own)])).await.status,
            403,
            "{name}: {value}"
        );
        let request = browser.request(Method::POST, "/sign-in").header(name, value);
        let fields = [("token", token("root", "orders:admin"))];
        assert_eq!(
            Response::of(request.form(&fields)).await.status,
            403,
            "{name}: {value}"
        );
    }
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test]
async fn a_copy_of_the_table_opens_no_session() {
    let api = api().await;
    let _browser = Browser::signed_in(&api, &token("root", "orders:admin")).await;
    let database = api.database.connect().await.unwrap();
    let rows = database.query(
        "SELECT encode(id_hash, 'base64'), subject, scope FROM console_sessions",
        &[],
    );
    let rows = rows.await.unwrap();
    let stored: String = rows[0].get(0);
    assert_eq!(
        (rows[0].get::<_, &str>(1), rows[0].get::<_, &str>(2)),
        ("root", "orders:admin")
    );
    let forged = Browser::at(&api)
        .request(Method::GET, "/")
        .header("cookie", format!("session={}", stored.trim()));
    assert_eq!(Response::of(forged).await.status, 303);
}

#[tokio::test]
async fn a_session_ends_at_its_time_and_is_deleted_at_the_next_sign_in() {
    let api = api().await;
    let browser = Browser::signed_in(&api, &token("root", "orders:admin")).await;
    let database = api.database.connect().await.unwrap();
    database
        .execute("UPDATE console_sessions SET expires_at = now()", &[])
        .await
        .unwrap();
    assert_eq!(browser.get("/").await.status, 303);
    Browser::signed_in(&api, &token("root", "orders:observe")).await;
    let rows = database
        .query("SELECT scope FROM console_sessions", &[])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn without_authentication_there_is_no_sign_in_and_forms_of_other_sites_are_refused() {
    let api = Api::start().await;
    let browser = Browser::at(&api);
    assert_eq!(browser.get("/sign-in").await.header("location"), Some("/"));
    assert_eq!(browser.get("/").await.status, 200);
    let foreign = browser
        .request(Method::POST, "/sign-out")
        .header("origin", "https://evil.example");
    assert_eq!(Response::of(foreign.form(&[("csrf", "")])).await.status, 403);
}
