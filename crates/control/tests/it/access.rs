//! Nothing but the browser that has the token of the run may read or act.

use reqwest::StatusCode;
use reqwest::header::{COOKIE, HOST};

use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_of_the_run_opens_the_room_and_no_page_of_another_site_acts() {
    let visitor = Visitor::enters().await;
    let http = &visitor.http;
    for path in ["/", "/live", "/api/system", "/?token=guessed"] {
        let response = http.get(format!("{}{path}", visitor.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let rebound = http.get(format!("{}/", visitor.url)).header(HOST, "evil.example");
    let rebound = rebound.header(COOKIE, &visitor.cookie).send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);

    let page = visitor.gets("/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.headers()["cache-control"], "no-store");
    let html = page.text().await.unwrap();
    assert!(!html.contains("style=") && !html.contains("<script>"), "{html}");
    let token = visitor.entrance.split_once("token=").unwrap().1;
    assert!(!html.contains(token), "the page holds the token");

    let kill = [("part", "api"), ("act", "kill")];
    let post = |csrf: &str, site: &str, cookie: &str| {
        let fields = [&[("csrf", csrf)], &kill[..]].concat();
        let request = http
            .post(format!("{}/actions/process", visitor.url))
            .form(&fields);
        request
            .header("sec-fetch-site", site)
            .header(COOKIE, cookie)
            .send()
    };
    let (csrf, cookie) = (visitor.csrf.as_str(), visitor.cookie.as_str());
    for (csrf, site, cookie, status) in [
        (csrf, "same-origin", "", StatusCode::UNAUTHORIZED),
        (csrf, "same-site", cookie, StatusCode::FORBIDDEN),
        (csrf, "cross-site", cookie, StatusCode::FORBIDDEN),
        ("guessed", "same-origin", cookie, StatusCode::FORBIDDEN),
    ] {
        let refused = post(csrf, site, cookie).await.unwrap();
        assert_eq!(refused.status(), status, "{site}");
    }
    assert_eq!(visitor.process("api").await["state"], "running");
    for (kind, fields) in [
        ("process", [("part", "api"), ("act", "delete")]),
        ("process", [("part", "shell"), ("act", "stop")]),
        ("fault", [("fault", "none"), ("act", "")]),
        ("load", [("rate", "many"), ("act", "")]),
        ("anything", [("a", "b"), ("c", "d")]),
    ] {
        let refused = visitor.posts(kind, &fields).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{kind} {fields:?}");
    }
}
