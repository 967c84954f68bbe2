use std::time::Duration;

use serde_json::json;
use testkit::{Browser, Key, Screen, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_page_without_faults_has_none() {
    let browser = Browser::open().await.unwrap();
    browser.goto(&page("<p>all is well").await).await.unwrap();
    assert_eq!(browser.faults().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_error_on_the_console_is_a_fault() {
    let browser = Browser::open().await.unwrap();
    let url = page("<script>console.warn('a warning'); throw Error('broken')</script>").await;
    browser.goto(&url).await.unwrap();
    let faults = browser.faults().await.unwrap();
    assert!(faults[0].contains("broken"), "{faults:?}");
    assert_eq!(faults.len(), 1, "{faults:?}");
}

/// The other host's name does not resolve: nothing leaves this machine.
#[tokio::test]
async fn a_request_to_another_host_is_a_fault() {
    let browser = Browser::open().await.unwrap();
    let url = page("<img src='http://elsewhere.invalid/pixel.png'>").await;
    browser.goto(&url).await.unwrap();
    let faults = browser.faults().await.unwrap();
    let foreign = "request to another host: http://elsewhere.invalid/pixel.png";
    assert!(faults.iter().any(|fault| fault == foreign), "{faults:?}");
}

#[tokio::test]
async fn keys_reach_the_focused_element_and_clicks_the_named_one() {
    let browser = Browser::open().await.unwrap();
    let url = page(
        "<input autofocus><button onclick='document.title = document.querySelector(`input`).value'>Rename</button>",
    );
    browser.goto(&url.await).await.unwrap();
    browser.types("ä new title").await.unwrap();
    browser.press(Key::Backspace).await.unwrap();
    browser.click("//button[.='Rename']").await.unwrap();
    let title = browser.run("return document.title", Vec::new()).await.unwrap();
    assert_eq!(title, "ä new titl");
}

#[tokio::test]
async fn a_page_is_shown_on_the_requested_screen() {
    let browser = Browser::open().await.unwrap();
    browser.goto(&page("").await).await.unwrap();
    let phone = Screen {
        width: 390,
        height: 844,
        dark: true,
    };
    browser.shows_on(phone).await.unwrap();
    let shown = "return [innerWidth, innerHeight, matchMedia('(prefers-color-scheme: dark)').matches]";
    let shown = browser.run(shown, Vec::new()).await.unwrap();
    assert_eq!(shown, json!([390, 844, true]));
}

#[tokio::test]
async fn a_dropped_browser_ends() {
    let browser = Browser::open().await.unwrap();
    let pid = browser.pid().unwrap();
    assert!(crate::orphans::is_running(pid));
    drop(browser);
    eventually("the end of Chromium", Duration::from_secs(60), || async {
        (!crate::orphans::is_running(pid)).then_some(())
    })
    .await;
}

/// The URL of a page with this content, which this process serves to one connection after the other.
async fn page(body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // An empty icon: the browser would request one.
    let html = format!("<!doctype html><title>Test</title><link rel=icon href=data:,>{body}");
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let html = html.clone();
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 4096]).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close";
                let _ = connection
                    .write_all(format!("{head}\r\n\r\n{html}").as_bytes())
                    .await;
            });
        }
    });
    url
}
