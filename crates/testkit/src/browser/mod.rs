//! A headless Chromium for tests of pages. It records what a page must not do: errors on its console, and
//! requests to another host.

mod command;
mod driver;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
pub use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use url::Url;

use command::ChromeCommand;
use driver::Driver;

/// Without a sandbox, because tests may run as root; without services of its own, which would reach out to
/// other hosts. A container's /dev/shm may be too small.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--hide-scrollbars",
    "--lang=en-US",
    "--remote-debugging-pipe",
    "--window-size=1280,900",
];
/// How long an element may take to appear; generous because the machine may be busy.
const ELEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a browser may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The host of every page that a test opens.
const HOST: &str = "127.0.0.1";

/// A browser with one tab and an empty profile. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver_port: u16,
    session: String,
}

/// What a page is shown on.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// In CSS pixels.
    pub width: u32,
    pub height: u32,
    /// What `prefers-color-scheme` matches.
    pub dark: bool,
}

impl Browser {
    /// Starts it; installs Chromium first if it is missing and that is permitted.
    ///
    /// # Errors
    /// When it is not installed or does not start; the message says what to install.
    pub async fn open() -> anyhow::Result<Self> {
        let driver_port = Driver::shared().await?.port();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities())
            .connect(&format!("http://127.0.0.1:{driver_port}"))
            .await
            .context("cannot start Chromium")?;
        let session = client.session_id().await?.context("Chromium has no session")?;
        Ok(Self {
            client,
            driver_port,
            session,
        })
    }

    /// Opens a URL; returns once the page is loaded.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn goto(&self, url: &str) -> anyhow::Result<()> {
        self.client
            .goto(url)
            .await
            .with_context(|| format!("cannot open {url}"))
    }

    /// # Errors
    /// When the browser has ended.
    pub async fn url(&self) -> anyhow::Result<Url> {
        Ok(self.client.current_url().await?)
    }

    /// Presses the browser's back button.
    ///
    /// # Errors
    /// When the browser has ended.
    pub async fn back(&self) -> anyhow::Result<()> {
        Ok(self.client.back().await?)
    }

    /// Runs the body of a function in the page; returns what it returns. The page's policy does not apply.
    ///
    /// # Errors
    /// When the script throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// The same with an asynchronous function: its last argument is a callback that takes the result.
    ///
    /// # Errors
    /// When the script throws.
    pub async fn run_async(&self, script: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        Ok(self.client.execute_async(script, arguments).await?)
    }

    /// Clicks in the middle of the first element that this XPath selects, as soon as it exists. A page that
    /// replaces the element before the click is on it is searched again, as a person would aim again.
    ///
    /// # Errors
    /// When it does not appear, or something covers it.
    pub async fn click(&self, xpath: &str) -> anyhow::Result<()> {
        loop {
            let element = self.client.wait().at_most(ELEMENT_TIMEOUT);
            let element = element.for_element(Locator::XPath(xpath)).await;
            let element = element.with_context(|| format!("nothing is {xpath}"))?;
            match element.click().await {
                Err(error) if error.is_stale_element_reference() => {}
                clicked => return clicked.with_context(|| format!("cannot click {xpath}")),
            }
        }
    }

    /// Types into the focused element.
    ///
    /// # Errors
    /// When the browser has ended.
    pub async fn types(&self, text: &str) -> anyhow::Result<()> {
        self.press_all(text.chars()).await
    }

    /// Presses and releases a key.
    ///
    /// # Errors
    /// When the browser has ended.
    pub async fn press(&self, key: Key) -> anyhow::Result<()> {
        self.press_all([char::from(key)]).await
    }

    async fn press_all(&self, keys: impl IntoIterator<Item = char>) -> anyhow::Result<()> {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys {
            actions = actions
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
        }
        Ok(self.client.perform_actions(actions).await?)
    }

    /// A command of the DevTools protocol.
    ///
    /// # Errors
    /// When Chromium refuses it.
    pub async fn devtools(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        Ok(self
            .client
            .issue_cmd(ChromeCommand::devtools(command, &parameters))
            .await?)
    }

    /// Changes what pages are shown on, without loading them again.
    ///
    /// # Errors
    /// When the browser has ended.
    pub async fn shows_on(&self, screen: Screen) -> anyhow::Result<()> {
        let scheme = if screen.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await?;
        let metrics = json!({
            "width": screen.width,
            "height": screen.height,
            "deviceScaleFactor": 1,
            "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    /// The process id of Chromium.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let id = self.client.capabilities()?.get("goog:processID")?.as_i64()?;
        id.try_into().ok()
    }

    /// What the screen shows, as a PNG.
    ///
    /// # Errors
    /// When the browser has ended.
    pub async fn screenshot(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    /// What pages did since the last call and must not do: errors on the console, each with its text, and
    /// requests to another host, each with its URL.
    ///
    /// # Errors
    /// When the browser has ended.
    pub async fn faults(&self) -> anyhow::Result<Vec<String>> {
        let console = self.client.issue_cmd(ChromeCommand::log("browser")).await?;
        let requests = self.client.issue_cmd(ChromeCommand::log("performance")).await?;
        let errors = entries(&console).filter(|entry| text(entry, "/level") == Some("SEVERE"));
        let errors = errors.filter_map(|entry| text(entry, "/message"));
        let mut faults: Vec<String> = errors.map(|error| format!("console: {error}")).collect();
        faults.extend(entries(&requests).filter_map(foreign_request));
        Ok(faults)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Drop is not async. An error has no receiver: Chromium also ends with this process.
        let _ = end_session(self.driver_port, &self.session);
    }
}

fn end_session(port: u16, session: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(END_TIMEOUT))?;
    write!(
        stream,
        "DELETE /session/{session} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
    )?;
    // The response comes once the browser has ended.
    stream.read(&mut [0]).map(drop)
}

fn capabilities() -> Map<String, Value> {
    let mut capabilities = Map::new();
    let options = json!({
        "args": ARGUMENTS,
        "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
    });
    let logs = json!({ "browser": "ALL", "performance": "ALL" });
    capabilities.insert("goog:chromeOptions".to_owned(), options);
    capabilities.insert("goog:loggingPrefs".to_owned(), logs);
    capabilities
}

fn entries(log: &Value) -> impl Iterator<Item = &Value> {
    log.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// The request of this entry of the performance log, if another host would receive it.
fn foreign_request(entry: &Value) -> Option<String> {
    let event: Value = serde_json::from_str(text(entry, "/message")?).ok()?;
    let url = match text(&event, "/message/method")? {
        "Network.requestWillBeSent" => text(&event, "/message/params/request/url")?,
        "Network.webSocketCreated" => text(&event, "/message/params/url")?,
        _ => return None,
    };
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    (host != HOST).then(|| format!("request to another host: {url}"))
}
