//! Runs and hosts: what belongs together, and what does not.

use super::*;

#[test]
fn a_run_in_two_logs_is_one() {
    let (records, whole) = (log(), found());
    let start = Record {
        seq: 8,
        time: records[7].time.clone(),
        ..records[0].clone()
    };
    let second = [&[start], &records[8..]].concat();
    let parts = gather(
        vec![lines(&records[..8]), lines(&second)],
        Wanted::default(),
    );
    assert_eq!(holds(&parts), holds(&whole));
    assert_eq!(parts.sessions.len(), 1);
    // A tracing that began again knows nothing of what was before.
    let start = Record {
        seq: 1,
        ..second[0].clone()
    };
    let second = [&[start], &records[8..]].concat();
    let anew = gather(
        vec![lines(&records[..8]), lines(&second)],
        Wanted::default(),
    );
    assert_eq!(anew.sessions.len(), 2);
    assert!(
        anew.lanes[0]
            .1
            .holds
            .iter()
            .any(|hold| hold.ended == End::Interrupted)
    );
}

/// The log of another host, and so many seconds later.
fn moved(host: &str, boot: &str, seconds: u64) -> String {
    let mut records = log();
    for record in &mut records {
        if let Body::Start(start) = &mut record.body {
            host.clone_into(&mut start.host);
            start.boot_id = Some(boot.to_owned());
        }
        record.time =
            time::format(time::parse(&record.time).unwrap() + seconds as i64 * 1_000_000_000);
    }
    lines(&records)
}

/// The same ports, namespaces, process ids, cookies and numbers of episodes, at the same time.
#[test]
fn hosts_are_kept_apart() {
    let whole = found();
    let other = moved("web2", "b", 0);
    let cut = other.find("\"type\":\"port\",\"seq\":7").unwrap();
    let cut = other[..cut].rfind('\n').unwrap() + 1;
    let both = gather(
        vec![lines(&log()), other[..cut].to_owned()],
        Wanted::default(),
    );
    let hosts: Vec<&str> = both
        .sessions
        .iter()
        .map(|session| both.names.text(session.host))
        .collect();
    assert_eq!(hosts, ["web1", "web2"]);
    assert_eq!(both.lanes.len(), 2);
    assert_eq!(both.lanes[0].1.holds.len(), whole.lanes[0].1.holds.len());
    assert_eq!(holds(&both), holds(&whole));
    // What the second log does not tell the end of has not ended with what the first one tells.
    let open: Vec<_> = both.lanes[1]
        .1
        .holds
        .iter()
        .map(|hold| hold.ended)
        .collect();
    assert_eq!(open, [End::Seen, End::Open, End::Open]);
    assert_eq!(both.episodes.count, 2);
    let mut episodes: Vec<_> = both
        .episodes
        .in_order()
        .iter()
        .map(|episode| (episode.attempts, episode.outcome.is_some()))
        .collect();
    episodes.sort_unstable();
    assert_eq!(episodes, [(2, false), (5, true)]);
    let mut pids: Vec<_> = both
        .lanes
        .iter()
        .flat_map(|(_, lane)| lane.marks.iter().map(|mark| mark.who))
        .collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4, "python3 and node on each host");
}

#[test]
fn hosts_of_one_name_are_kept_apart() {
    let names = |found: &Gather| -> Vec<String> {
        let hosts = found
            .lanes
            .iter()
            .map(|(place, _)| found.names.text(place.host).to_owned());
        hosts.collect()
    };
    // Two boots at the same time.
    let twins = gather(
        vec![lines(&log()), moved("web1", "b", 5)],
        Wanted::default(),
    );
    assert_eq!(names(&twins), ["web1", "web1 (2)"]);
    // The same host booted again, later, or traced twice.
    let boot_ns = samples::BOOT_NS / 1_000_000_000;
    let again = gather(
        vec![lines(&log()), moved("web1", "b", boot_ns + 300)],
        Wanted::default(),
    );
    assert_eq!(names(&again), ["web1"]);
    let twice = gather(vec![lines(&log()), lines(&log())], Wanted::default());
    assert_eq!((names(&twice).len(), twice.sessions.len()), (1, 2));
}

/// Numbers of episodes begin at 1 with each run.
#[test]
fn episodes_of_two_runs_are_two() {
    let killed = &log()[..11];
    let found = gather(
        vec![format!("{}{}", lines(killed), moved("web1", "c", 300))],
        Wanted::default(),
    );
    assert_eq!((found.sessions.len(), found.episodes.count), (2, 2));
}
