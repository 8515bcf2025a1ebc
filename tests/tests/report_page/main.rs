//! The page of `portwatch report --html` in a real browser.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod page;

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use portwatch_tests::{harness::portwatch_binary, made_up::Log};
use serde_json::{Value, json};

use self::page::page;

const ARROW_LEFT: char = '\u{e012}';
const ARROW_RIGHT: char = '\u{e014}';
const ARROW_DOWN: char = '\u{e015}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

#[test]
fn each_troubled_port_has_a_lane() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    let labels = page.run("return [...document.querySelectorAll('.lane')].sort((a, b) => a.offsetTop - b.offsetTop).map(lane => [Number(lane.dataset.port), lane.querySelector('.why b').textContent])");
    let rows = page.summary["by_port"].as_array().unwrap();
    let expected: Vec<Value> = rows
        .iter()
        .map(|row| json!([row["port"], format!("{} failed", row["failures"])]))
        .collect();
    assert!(expected.len() >= 5, "{expected:?}");
    assert_eq!(labels, Value::from(expected));
    for colour in ["k0", "k2", "k3", "fail", "ok"] {
        assert!(page.pixels(colour) > 50, "nothing is drawn in {colour}");
    }
    let failures = page.summary["failures"].to_string();
    assert_eq!(page.text("#tiles b"), failures);
    page.is_quiet();
}

#[test]
fn keys_go_from_attempt_to_attempt() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    page.press(ARROW_RIGHT);
    page.until("document.getElementById('said').textContent");
    let first = page.text("#said");
    assert!(first.contains("TIME_WAIT"), "{first}");
    assert!(page.text("#tip").contains("time-wait"));
    page.press(ARROW_RIGHT);
    let second = page.text("#said");
    assert_ne!(first, second);
    page.press(ARROW_LEFT);
    assert_eq!(page.text("#said"), first);
    page.press(ARROW_DOWN);
    assert_ne!(
        page.text("#said").split(',').next(),
        first.split(',').next()
    );

    page.press(ENTER);
    page.until("!document.getElementById('details').hidden");
    let details = page.text("#details");
    for part in ["EADDRINUSE", "What helps", "Blocked by", "Who tried"] {
        assert!(details.contains(part), "{part}: {details}");
    }
    page.press(ESCAPE);
    page.until("document.getElementById('details').hidden");
    page.press('?');
    page.until("document.getElementById('keys').open");
    page.press(ESCAPE);
    page.until("!document.getElementById('keys').open");
    page.is_quiet();
}

/// Scrolling hides what the mouse shows, but not what a key has scrolled to.
#[test]
fn keys_bring_what_they_show_into_view() {
    let log = Log {
        copies: 4,
        ..Log::of(2000)
    };
    let Some(page) = page(log) else { return };
    let scrolled = "document.getElementById('stage').scrollTop";
    page.press(ARROW_DOWN.to_string().repeat(12));
    assert!(page.run(&format!("return {scrolled}")).as_f64().unwrap() > 0.0);
    page.until("!document.getElementById('tip').hidden");
    let lane = page.text(".lane.current .port span");
    assert!(!lane.is_empty() && page.text("#said").contains(&lane));
    page.run(&format!("{scrolled} = 0"));
    page.until("document.getElementById('tip').hidden");
    page.is_quiet();
}

#[test]
fn the_mouse_shows_who_and_why() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    page.press(ARROW_RIGHT);
    page.until("!document.getElementById('tip').hidden");
    // The tip is beside the attempt, which is in the last row of the current lane.
    let place = page.run("const box = document.querySelector('.lane.current em:last-of-type').getBoundingClientRect(); return [Math.round(document.getElementById('tip').getBoundingClientRect().left - 14), Math.round(box.top + box.height / 2)]");
    let (x, y) = (place[0].as_i64().unwrap(), place[1].as_i64().unwrap());
    page.press(ESCAPE);
    page.until("document.getElementById('tip').hidden");
    page.browser.point(x, y, false).unwrap();
    let shown =
        "!document.getElementById('tip').hidden && document.getElementById('tip').textContent";
    page.until(&format!("{shown}.includes('EADDRINUSE')"));
    page.browser.point(x, y, true).unwrap();
    page.until("!document.getElementById('details').hidden");
    page.press(ESCAPE);

    let bar = page.run("const box = document.querySelector('.lane em').getBoundingClientRect(); const canvas = document.getElementById('lanes').getBoundingClientRect(); return [Math.round(canvas.left + canvas.width * .2), Math.round(box.top + box.height / 2)]");
    page.browser
        .point(bar[0].as_i64().unwrap(), bar[1].as_i64().unwrap(), false)
        .unwrap();
    page.until(&format!("{shown}.includes('listening socket')"));
    page.is_quiet();
}

#[test]
fn a_search_leaves_what_it_finds() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    page.press('/');
    page.until("document.activeElement.id === 'search'");
    page.press("java");
    page.until("document.querySelectorAll('.lane').length === 1");
    assert_eq!(
        page.run("return document.querySelector('.lane').dataset.port"),
        "8080"
    );
    assert!(page.text("#found").ends_with("found"));
    page.press(ENTER);
    page.until("document.getElementById('said').textContent.includes('java')");
    page.press(ESCAPE);
    page.until("document.querySelectorAll('.lane').length > 1");
    page.press("/");
    page.press("no such thing");
    page.until("!document.getElementById('empty').hidden");
    page.is_quiet();
}

#[test]
fn it_is_light_or_dark() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    let ground = "return getComputedStyle(document.documentElement).backgroundColor";
    page.browser.prefer("light").unwrap();
    page.until("document.documentElement.dataset.theme === 'light'");
    let light = page.run(ground);
    page.browser.prefer("dark").unwrap();
    page.until("document.documentElement.dataset.theme === 'dark'");
    assert_ne!(page.run(ground), light);
    // The picture, too, is drawn in the colours of the night.
    page.press(ARROW_RIGHT);
    assert!(page.pixels("k0") > 50);
    page.press('t');
    page.until("document.documentElement.dataset.theme === 'light'");
    assert_eq!(page.run(ground), light);
    page.is_quiet();
}

#[test]
fn names_are_text_and_nothing_else() {
    const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";
    for name in ["<script>alert(1)</script>", HOSTILE] {
        let log = Log {
            name: Some(name),
            ..Log::of(300)
        };
        let Some(page) = page(log) else { return };
        page.press(ARROW_RIGHT);
        page.press(ENTER);
        page.until("!document.getElementById('details').hidden");
        for selector in ["#tip", "#details h2", "#episodes .name"] {
            page.press(ARROW_RIGHT);
            let text = page.text(selector);
            assert!(
                selector == "#tip" || text.contains(name),
                "{selector}: {text}"
            );
        }
        assert_eq!(page.run("return document.scripts.length"), 2);
        assert_eq!(page.run("return document.images.length"), 0);
        page.is_quiet();
    }
}

#[test]
fn a_hundred_thousand_events_can_be_used() {
    let log = Log {
        copies: 20,
        connections: 30,
        ..Log::of(100_000)
    };
    let Some(page) = page(log) else { return };
    let failures = page.summary["failures"].as_u64().unwrap();
    // All of them are on the page ...
    let all = page.run(
        "const { lanes } = JSON.parse(document.getElementById('data').textContent);
         const sum = (lane, rows) => rows.reduce((sum, count) => sum + count, 0);
         return [lanes.reduce((sum, { marks }) => sum + marks.count.reduce((all, count, i) => all + (marks.failed[i] ? count : 0), 0), 0),
                 lanes.reduce((sum, { holds }) => sum + holds.count.reduce((all, count) => all + count, 0), 0)]",
    );
    assert_eq!(all[0], failures);
    assert!(all[1].as_u64().unwrap() > 30_000, "{all}");
    // ... every port can be scrolled to, and of those in view everything is drawn.
    let ports = page.summary["by_port"].as_array().unwrap().len();
    assert_eq!(ports, 10, "the table has its worst ten");
    let seen = page.run(
        "const stage = document.getElementById('stage');
         return new Promise(done => {
           const seen = new Set();
           const look = () => {
             for (const lane of document.querySelectorAll('.lane')) seen.add(lane.dataset.port);
             if (stage.scrollTop + stage.clientHeight >= stage.scrollHeight - 1) return done(seen.size);
             stage.scrollTop += stage.clientHeight / 2;
             requestAnimationFrame(() => requestAnimationFrame(look));
           };
           look();
         })",
    );
    assert_eq!(seen, 100);
    page.run("document.getElementById('stage').scrollTop = 0");
    let whole = page.drawn();
    assert!(whole[1] > 300 && whole[2] > 1000, "{whole:?}");
    // Zooming, searching and going on all answer.
    page.press("+++++");
    page.until(&format!(
        "Number(document.documentElement.dataset.drawn.split(' ')[1]) < {}",
        whole[1]
    ));
    page.press('0');
    page.until(&format!(
        "Number(document.documentElement.dataset.drawn.split(' ')[1]) >= {}",
        whole[1] / 2
    ));
    page.press("/");
    page.press("95");
    page.until("document.querySelectorAll('.lane').length === 1");
    page.press(ENTER);
    page.until("document.getElementById('said').textContent.startsWith('tcp 95')");
    page.is_quiet();
}

/// The same blockers as in the summary, each with those that it blocked; and links in the picture.
#[test]
fn who_blocked_whom_comes_first() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    let shown = page.run(
        "return [...document.querySelectorAll('.pair')].map(pair => [pair.querySelector('.holder b').textContent, Number(pair.querySelector('.arrow b').textContent), pair.querySelector('.tried b').textContent])",
    );
    let rows = page.summary["worst_blockers"].as_array().unwrap();
    let blocked = |comm: &Value| match comm.as_str().unwrap() {
        "java" => "node",
        "apache2" => "nginx",
        "celery" => "gunicorn",
        itself => itself.to_owned().leak(),
    };
    let expected: Vec<Value> = rows
        .iter()
        .take(4)
        .map(|row| json!([row["comm"], row["failures"], blocked(&row["comm"])]))
        .collect();
    assert_eq!(expected.len(), 4);
    assert_eq!(shown, Value::from(expected));
    assert!(page.drawn()[3] > 3, "bands from attempts to their blockers");
    page.run("document.querySelector('.pair').click()");
    page.until("document.getElementById('found').textContent");
    page.is_quiet();
}

#[test]
fn what_is_not_known_is_not_silence() {
    let log = Log {
        rough: true,
        ..Log::of(600)
    };
    let Some(page) = page(log) else { return };
    for name in ["lost", "untraced"] {
        assert_eq!(
            page.run(&format!(
                "return document.getElementById('legend-{name}').hidden"
            )),
            false
        );
    }
    assert!(
        page.pixels("void") > 5000,
        "the time between the runs is grey"
    );
    let notes = page.text("#notes");
    assert!(notes.matches("Lost: ").count() == 2, "{notes}");
    assert!(page.text("#tiles").contains("in 2 runs"));
    // Where the pause and the first gap are, between the rows of the first lane and as the page itself draws them.
    let places = page.run(
        "const { sessions, gaps, to } = JSON.parse(document.getElementById('data').textContent);
         const box = document.getElementById('lanes').getBoundingClientRect();
         // The pause is drawn shorter than it was.
         const pause = sessions[1][1] - sessions[0][2], traced = to - pause, short = Math.min(traced * .08, pause);
         const whole = traced + short, margin = Math.max(whole * .015, .5);
         const x = time => Math.round(box.left + (time + margin) / (whole + 2 * margin) * box.width);
         return [x(sessions[0][2] + short / 2), x((gaps[0][2] + gaps[0][3]) / 2), Math.round(box.top + 4)]",
    );
    let at = |index: usize| places[index].as_i64().unwrap();
    for (x, words) in [(at(0), "Not traced"), (at(1), "Records lost")] {
        page.browser.point(x, at(2), false).unwrap();
        page.until(&format!(
            "document.querySelector('#tip b')?.textContent === '{words}'"
        ));
    }
    // An address of the unix family has a lane, too.
    page.press("/");
    page.press("control.sock");
    page.until("document.querySelectorAll('.lane').length === 1");
    assert!(page.text(".lane .port span").ends_with("control.sock"));
    page.press(ENTER);
    page.until("document.getElementById('said').textContent.includes('appd[700]')");
    page.is_quiet();
}

#[test]
fn a_whole_log_has_no_gaps() {
    let Some(page) = page(Log::of(300)) else {
        return;
    };
    assert_eq!(
        page.run("return document.getElementById('legend-lost').hidden"),
        true
    );
    assert_eq!(page.text("#notes"), "");
    page.is_quiet();
}

/// Words stand out from their background: 4.5 to 1, as WCAG has it.
#[test]
fn words_can_be_read() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    for scheme in ["light", "dark"] {
        page.browser.prefer(scheme).unwrap();
        page.until(&format!(
            "document.documentElement.dataset.theme === '{scheme}'"
        ));
        page.press(ARROW_RIGHT);
        page.press(ENTER);
        page.until("!document.getElementById('details').hidden");
        assert_eq!(page.run(include_str!("contrast.js")), json!([]), "{scheme}");
        page.press(ESCAPE);
    }
}

#[test]
fn it_fits_a_narrow_window_and_paper() {
    let Some(page) = page(Log::of(400)) else {
        return;
    };
    page.browser.resize(480, 800).unwrap();
    page.until("innerWidth === 480");
    page.until("document.documentElement.scrollWidth <= innerWidth");
    page.browser.resize(800, 600).unwrap();
    page.until("innerWidth === 800");
    let hidden = "const stage = document.getElementById('stage'); return stage.scrollHeight - stage.clientHeight";
    assert!(page.run(hidden).as_i64().unwrap() > 0, "lanes are scrolled");
    page.run("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(page.run(hidden), 0);
    page.run("dispatchEvent(new Event('afterprint'))");
    assert!(page.run(hidden).as_i64().unwrap() > 0);
    page.is_quiet();
}

#[test]
fn the_page_is_not_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let (log, html): (PathBuf, PathBuf) =
        (directory.path().join("log"), directory.path().join("page"));
    Log::of(50).write(&mut File::create(&log).unwrap()).unwrap();
    let report = |force: bool| {
        let mut command = Command::new(portwatch_binary().unwrap());
        command.arg("report").arg(&log).arg("--html").arg(&html);
        if force {
            command.arg("--force");
        }
        command.output().unwrap()
    };
    assert!(report(false).status.success());
    let refused = report(false);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    fs::write(&html, "old").unwrap();
    assert!(report(true).status.success());
    assert!(
        fs::read_to_string(&html)
            .unwrap()
            .starts_with("<!doctype html>")
    );
}
