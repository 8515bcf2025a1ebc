//! A browser without a screen, driven over `WebDriver` (Chromium, by Debian's chromedriver).

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

use crate::harness::patience;

/// A browser with one window. Ends when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
    /// Is removed with it.
    profile: tempfile::TempDir,
}

/// Whether a browser and its driver are installed.
#[must_use]
pub fn is_installed() -> bool {
    ["chromium", "chromedriver"].iter().all(|program| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|directory| directory.join(program).is_file())
    })
}

/// Longest wait for a page.
fn limit() -> Duration {
    patience().max(Duration::from_secs(60))
}

impl Browser {
    /// Starts one, with a window of this size.
    pub fn start(width: u32, height: u32) -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run chromedriver")?;
        let port = port(&mut driver);
        // Whoever the caller is, the driver does not outlive it.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // The driver is the first to give up, and says of what.
            .timeout_global(Some(2 * limit()))
            .build()
            .into();
        let mut browser = Self {
            driver,
            agent,
            session: String::new(),
            profile: tempfile::tempdir()?,
        };
        let base = format!("http://127.0.0.1:{}/session", port?);
        let arguments = [
            "--headless=new".to_owned(),
            // Root has no sandbox; the page is our own.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "ignore",
            "timeouts": {"script": limit().as_millis() as u64},
        }}});
        let answer = browser.send("POST", &base, &wanted)?;
        let id = answer["sessionId"].as_str().context("no session")?;
        browser.session = format!("{base}/{id}");
        Ok(browser)
    }

    /// Opens a file.
    pub fn open(&self, path: &Path) -> Result<()> {
        let url = format!("file://{}", path.display());
        self.post("url", &json!({"url": url})).map(drop)
    }

    /// What the body of a function returns.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true: the page looks with each frame, and never before one. Scrolling, a new size and new
    /// colours reach a page only with a frame, and what a page draws then is there before it takes the next command.
    pub fn until(&self, expression: &str) -> Result<()> {
        let script = format!(
            "const [tell] = arguments;
             const look = () => {{ if ({expression}) tell(true); else requestAnimationFrame(look); }};
             requestAnimationFrame(look);"
        );
        let asked = self.post("execute/async", &json!({"script": script, "args": []}));
        asked
            .map(drop)
            .with_context(|| format!("never true: {expression}"))
    }

    /// Waits until the page has drawn all that it knows of now.
    pub fn frame(&self) -> Result<()> {
        self.until("true")
    }

    /// The text of the first element that a selector finds; empty if there is none.
    pub fn text(&self, selector: &str) -> Result<String> {
        let script = format!(
            "return document.querySelector({})?.textContent ?? ''",
            json!(selector)
        );
        Ok(self.run(&script)?.as_str().unwrap_or_default().to_owned())
    }

    /// Presses keys one after the other, and waits until what they changed is drawn. Those without a character have the
    /// code points that `WebDriver` gives them.
    pub fn press(&self, keys: &str) -> Result<()> {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        let source = json!({"type": "key", "id": "keys", "actions": actions});
        self.post("actions", &json!({"actions": [source]}))?;
        self.frame()
    }

    /// Moves the mouse, clicks if told so, and waits until what that changed is drawn.
    pub fn point(&self, x: i64, y: i64, click: bool) -> Result<()> {
        let mut actions = vec![json!({"type": "pointerMove", "duration": 0, "x": x, "y": y})];
        if click {
            actions.push(json!({"type": "pointerDown", "button": 0}));
            actions.push(json!({"type": "pointerUp", "button": 0}));
        }
        let source = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.post("actions", &json!({"actions": [source]}))?;
        self.frame()
    }

    /// Makes the page as large as this, whatever the window, and waits until it is drawn so.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size});
        self.post("goog/cdp/execute", &command)?;
        self.frame()
    }

    /// Has the system prefer `light` or `dark`, and waits until the page is drawn so.
    pub fn prefer(&self, scheme: &str) -> Result<()> {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let command =
            json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.post("goog/cdp/execute", &command)?;
        self.frame()
    }

    /// What is in the console: messages, errors, and what the page's policy has refused.
    pub fn console(&self) -> Result<Vec<Value>> {
        let log = self.post("se/log", &json!({"type": "browser"}))?;
        Ok(log.as_array().cloned().unwrap_or_default())
    }

    /// The text of a dialog that a script has opened.
    pub fn alert(&self) -> Option<String> {
        let url = format!("{}/alert/text", self.session);
        let mut answer = self.agent.get(&url).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        let answer: Value = serde_json::from_str(&text).ok()?;
        answer["value"].as_str().map(str::to_owned)
    }

    fn post(&self, command: &str, body: &Value) -> Result<Value> {
        self.send("POST", &format!("{}/{command}", self.session), body)
    }

    fn send(&self, method: &str, url: &str, body: &Value) -> Result<Value> {
        let mut answer = if method == "DELETE" {
            self.agent.delete(url).call()?
        } else {
            let post = self.agent.post(url).content_type("application/json");
            post.send(body.to_string())?
        };
        let text = answer.body_mut().with_config().limit(64 << 20);
        let mut answer: Value = serde_json::from_str(&text.read_to_string()?)?;
        if let Some(error) = answer["value"]["error"].as_str() {
            bail!("{url}: {error}: {}", answer["value"]["message"]);
        }
        Ok(answer["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends the browser itself, which is no child of ours.
            drop(self.send("DELETE", &self.session, &Value::Null));
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

/// The port that the driver has chosen, from what it prints.
fn port(driver: &mut Child) -> Result<u16> {
    let output = driver.stdout.take().context("no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let Some((_, port)) = line.split_once("started successfully on port ") else {
            continue;
        };
        return port.trim_end_matches('.').parse().context("no port");
    }
    bail!("chromedriver ended without a port");
}
