//! An operator with a browser: what operators do on a page, and what they see there.

use std::fs;

use serde_json::{Value, json};
use testkit::{Browser, Key, Screen, eventually, workspace};

use crate::shop::TIMEOUT;

pub(crate) const DESK: Screen = Screen {
    width: 1280,
    height: 900,
    dark: false,
};
pub(crate) const DESK_AT_NIGHT: Screen = Screen { dark: true, ..DESK };
pub(crate) const PHONE: Screen = Screen {
    width: 390,
    height: 844,
    dark: false,
};

/// In bytes: GitHub shows larger pictures slowly.
const MAX_PICTURE: usize = 200_000;

/// An operator at the pages of one server. Ends with [`Operator::leaves`], which fails on every fault of the
/// pages: an error on the console, or a request to another host.
pub(crate) struct Operator {
    browser: Browser,
    server: String,
    /// Parts of faults that the test provokes.
    expected: Vec<&'static str>,
}

impl Operator {
    pub(crate) async fn at(server: &str) -> Self {
        Self {
            browser: Browser::open().await.unwrap(),
            server: server.to_owned(),
            expected: Vec::new(),
        }
    }

    /// A fault with this text is part of the test.
    pub(crate) fn expects(&mut self, fault: &'static str) {
        self.expected.push(fault);
    }

    pub(crate) async fn opens(&self, path: &str) {
        self.browser
            .goto(&format!("{}{path}", self.server))
            .await
            .unwrap();
    }

    pub(crate) async fn goes_back(&self) {
        self.browser.back().await.unwrap();
    }

    /// Clicks the button, link or tab with this text or label.
    pub(crate) async fn clicks(&self, name: &str) {
        let controls = "self::a or self::button or self::input or self::summary or self::label";
        let named = format!("normalize-space()='{name}' or @aria-label='{name}'");
        self.clicks_at(&format!("//*[{controls}][{named}]")).await;
    }

    pub(crate) async fn clicks_at(&self, xpath: &str) {
        self.browser.click(xpath).await.unwrap();
    }

    pub(crate) async fn types(&self, text: &str) {
        self.browser.types(text).await.unwrap();
    }

    pub(crate) async fn presses(&self, key: Key) {
        self.browser.press(key).await.unwrap();
    }

    /// Confirms in the dialog, or on the page of the confirmation.
    pub(crate) async fn confirms(&self, name: &str) {
        let button = format!("//*[@id='confirmation']//button[starts-with(normalize-space(), '{name}')]");
        self.clicks_at(&button).await;
    }

    /// Fills in the form of the sign-in page.
    pub(crate) async fn signs_in(&self, token: &str) {
        self.clicks_at("//input[@id='token']").await;
        self.types(token).await;
        self.presses(Key::Enter).await;
    }

    /// Searches as a hand on the keyboard does.
    pub(crate) async fn searches(&self, text: &str) {
        self.types("/").await;
        self.types(text).await;
        self.presses(Key::Enter).await;
    }

    /// Waits until the page shows this text.
    pub(crate) async fn sees(&self, text: &str) {
        self.waits_for(&format!("the text \"{text}\""), || async {
            self.text().await.contains(text).then_some(())
        })
        .await;
    }

    pub(crate) async fn no_longer_sees(&self, text: &str) {
        self.waits_for(&format!("the end of \"{text}\""), || async {
            (!self.text().await.contains(text)).then_some(())
        })
        .await;
    }

    pub(crate) async fn sees_no(&self, text: &str) {
        let page = self.text().await;
        assert!(!page.contains(text), "{text} is on the page:\n{page}");
    }

    /// Waits until the address is this path with this query.
    pub(crate) async fn is_at(&self, path: &str) {
        self.waits_for(&format!("the address {path}"), || async {
            (self.path().await == path).then_some(())
        })
        .await;
    }

    /// Waits until the address is another one.
    pub(crate) async fn has_left(&self, path: &str) {
        self.waits_for("another address", || async {
            (self.path().await != path).then_some(())
        })
        .await;
    }

    /// Moves the focus, as many tabs would.
    pub(crate) async fn focuses(&self, selector: &str) {
        let focus =
            format!("const one = document.querySelector(`{selector}`); one?.focus(); return one?.tagName");
        self.finds(selector, &focus).await;
    }

    /// The id of the focused element.
    pub(crate) async fn focused(&self) -> String {
        let id = self.runs("return document.activeElement.id").await;
        id.as_str().unwrap().to_owned()
    }

    /// The ids of the orders of the page's list, from above.
    pub(crate) async fn ids(&self) -> Vec<String> {
        let ids = "return [...document.querySelectorAll('main tbody a.id[href^=\"/orders/\"]')]
            .map(link => link.getAttribute('href').split('/')[2])";
        serde_json::from_value(self.runs(ids).await).unwrap()
    }

    /// Sends a form without fields to this path, as a script of the page could; the status of the response.
    pub(crate) async fn posts(&self, path: &str) -> u64 {
        let post = format!(
            "fetch('{path}', {{ method: 'POST', headers: {{ 'content-type': 'application/x-www-form-urlencoded' }} }})"
        );
        let post = format!("{post}.then(response => arguments[arguments.length - 1](response.status))");
        self.runs_async(&post).await.as_u64().unwrap()
    }

    /// Path and query of the address.
    pub(crate) async fn path(&self) -> String {
        let url = self.browser.url().await.unwrap();
        let query = url.query().map(|query| format!("?{query}"));
        format!("{}{}", url.path(), query.unwrap_or_default())
    }

    /// The visible text of the page, with single spaces.
    pub(crate) async fn text(&self) -> String {
        let text = self.runs("return document.body.innerText").await;
        let words: Vec<&str> = text.as_str().unwrap().split_whitespace().collect();
        words.join(" ")
    }

    /// What this script returns, once that is not null.
    pub(crate) async fn finds(&self, what: &str, script: &str) -> Value {
        self.waits_for(what, || async {
            Some(self.runs(script).await).filter(|found| !found.is_null())
        })
        .await
    }

    pub(crate) async fn runs(&self, script: &str) -> Value {
        self.browser.run(script, Vec::new()).await.unwrap()
    }

    /// Like `runs`, with a callback as the last argument.
    pub(crate) async fn runs_async(&self, script: &str) -> Value {
        self.browser.run_async(script, Vec::new()).await.unwrap()
    }

    /// Waits until the browser has drawn twice.
    pub(crate) async fn runs_two_frames(&self) {
        let frames = "const done = arguments[arguments.length - 1];
            requestAnimationFrame(() => requestAnimationFrame(() => done(true)))";
        self.runs_async(frames).await;
    }

    /// What the screen shows, as a PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.browser.screenshot().await.unwrap()
    }

    /// Writes `docs/pictures/NAME.png`, once the page is complete.
    pub(crate) async fn pictures(&self, name: &str, screen: Screen, path: &str) {
        self.uses(screen).await;
        self.opens(path).await;
        self.runs_two_frames().await;
        let picture = self.screenshot().await;
        assert!(picture.len() < MAX_PICTURE, "{name} has {} bytes", picture.len());
        let folder = workspace().join("docs/pictures");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        println!("docs/pictures/{name}.png");
    }

    pub(crate) async fn uses(&self, screen: Screen) {
        self.browser.shows_on(screen).await.unwrap();
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: Value) {
        self.browser.devtools(command, parameters).await.unwrap();
    }

    /// What keeps people from using the page as it is shown now: serious and critical findings of axe-core,
    /// and what is beyond the right edge of the screen.
    pub(crate) async fn finds_obstacles(&self) -> Vec<String> {
        const AXE: &str = include_str!("../../assets/axe-4.14.1.min.js");
        const RUN: &str = "const done = arguments[arguments.length - 1];
            const part = node => node.html.slice(0, 120) + ': ' + node.failureSummary;
            axe.run(document, { resultTypes: ['violations'] }).then(
                found => done(found.violations.filter(one => /serious|critical/.test(one.impact))
                    .map(one => [one.id, ...one.nodes.slice(0, 3).map(part)].join('\\n    '))),
                error => done([String(error)]))";
        const WIDE: &str = "const wide = [...document.querySelectorAll('body *')]
                .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
                .map(one => 'beyond the edge: ' + one.outerHTML.slice(0, 120));
            return document.documentElement.scrollWidth > innerWidth ? wide.slice(0, 8) : []";
        self.runs(AXE).await;
        let mut found: Vec<String> = serde_json::from_value(self.runs_async(RUN).await).unwrap();
        found.extend(serde_json::from_value::<Vec<String>>(self.runs(WIDE).await).unwrap());
        let path = self.path().await;
        found
            .iter()
            .map(|obstacle| format!("{path}: {obstacle}"))
            .collect()
    }

    /// The obstacles of these pages: in both themes, and on a phone.
    pub(crate) async fn finds_obstacles_on(&self, pages: &[String]) -> Vec<String> {
        let mut obstacles = Vec::new();
        for page in pages {
            self.uses(DESK).await;
            self.opens(page).await;
            for screen in [DESK, DESK_AT_NIGHT, PHONE] {
                self.uses(screen).await;
                obstacles.extend(self.finds_obstacles().await);
            }
        }
        obstacles
    }

    /// How many elements a page has with its scripts, and how many without; it stays open without them.
    pub(crate) async fn counts_elements(&self, page: &str) -> (f64, f64) {
        const COUNT: &str = "return document.querySelectorAll('main *').length";
        let disables = |disabled: bool| {
            self.devtools(
                "Emulation.setScriptExecutionDisabled",
                json!({ "value": disabled }),
            )
        };
        self.opens(page).await;
        let with = self.runs(COUNT).await.as_f64().unwrap();
        disables(true).await;
        self.opens(page).await;
        disables(false).await;
        let without = self.runs(COUNT).await.as_f64().unwrap();
        (with, without)
    }

    /// Ends the session; the pages must have had no faults other than the expected ones.
    pub(crate) async fn leaves(self) {
        let faults = self.browser.faults().await.unwrap();
        let is_expected = |fault: &String| self.expected.iter().any(|part| fault.contains(part));
        let unexpected: Vec<_> = faults.iter().filter(|fault| !is_expected(fault)).collect();
        assert!(unexpected.is_empty(), "{unexpected:#?}");
    }

    /// Like `eventually`, but shows the page when the time is over.
    async fn waits_for<T, F>(&self, what: &str, condition: impl Fn() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let waiting = eventually(what, TIMEOUT * 2, condition);
        match tokio::time::timeout(TIMEOUT, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("no {what} at {}:\n{}", self.path().await, self.text().await),
        }
    }
}
