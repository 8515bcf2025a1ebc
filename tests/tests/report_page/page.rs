//! A page in a browser.

use std::{fs::File, io::BufWriter, process::Command};

use portwatch_tests::{
    harness::{can, portwatch_binary},
    made_up::Log,
    programs::browser::{Browser, is_installed},
};
use serde_json::Value;
use tempfile::TempDir;

/// A page in a browser.
pub(crate) struct Page {
    pub(crate) browser: Browser,
    /// What the page was made of.
    pub(crate) summary: Value,
    _directory: TempDir,
}

/// `None` where there is no browser.
pub(crate) fn page(log: Log) -> Option<Page> {
    if !can(
        "a page is looked at with chromium and chromedriver",
        is_installed(),
    ) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, html) = (
        directory.path().join("log.jsonl"),
        directory.path().join("page.html"),
    );
    let mut file = BufWriter::new(File::create(&path).unwrap());
    log.write(&mut file).unwrap();
    drop(file);
    let output = Command::new(portwatch_binary().unwrap())
        .args(["report", "--format", "json", "--html"])
        .args([&html, &path])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let browser = Browser::start(1280, 900).unwrap();
    browser.open(&html).unwrap();
    browser
        .until("document.documentElement.dataset.drawn")
        .unwrap();
    Some(Page {
        browser,
        summary: serde_json::from_slice(&output.stdout).unwrap(),
        _directory: directory,
    })
}

impl Page {
    pub(crate) fn text(&self, selector: &str) -> String {
        self.browser.text(selector).unwrap()
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.browser.run(script).unwrap()
    }

    pub(crate) fn press(&self, keys: impl Into<String>) {
        self.browser.press(&keys.into()).unwrap();
    }

    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        self.browser.until(expression).unwrap();
    }

    /// What was drawn with the next frame.
    pub(crate) fn drawn(&self) -> Vec<u64> {
        self.until("document.documentElement.dataset.drawn");
        self.run("return document.documentElement.dataset.drawn")
            .as_str()
            .unwrap()
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect()
    }

    /// Nothing was refused, nothing failed, and nothing was asked of the network.
    pub(crate) fn is_quiet(&self) {
        assert_eq!(self.browser.console().unwrap(), Vec::<Value>::new());
        assert_eq!(
            self.run("return performance.getEntriesByType('resource').length"),
            0
        );
        assert_eq!(self.browser.alert(), None);
    }

    /// How many pixels of the lanes have the colour of this name.
    pub(crate) fn pixels(&self, colour: &str) -> u64 {
        self.run(&format!(
            "const probe = document.createElement('canvas').getContext('2d', {{ willReadFrequently: true }});
             probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--{colour}').trim();
             probe.fillRect(0, 0, 1, 1);
             const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
             const lanes = document.getElementById('lanes');
             const copy = document.createElement('canvas');
             [copy.width, copy.height] = [lanes.width, lanes.height];
             const pen = copy.getContext('2d', {{ willReadFrequently: true }});
             pen.drawImage(lanes, 0, 0);
             const {{ data }} = pen.getImageData(0, 0, copy.width, copy.height);
             let count = 0;
             for (let i = 0; i < data.length; i += 4) count += data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255;
             return count"
        ))
        .as_u64()
        .unwrap()
    }
}
