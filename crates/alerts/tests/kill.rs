//! SIGKILL at random moments, a hundred times, during a storm of a thousand incidents.
//!
//! The process that is killed is this test program again ([`storm`]): it does what `netfault run` does with the engine's
//! incidents. Its record of how far it has decided stands for the journal: it is written before anybody is told, and
//! after a restart what was decided is compared with what the outboxes know.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netfault_alerts::{
    Alerts, Notice, NoticeState, Open, Policy, Receiver, Route, Routing, Setup, To, Webhook, from_incident,
};
use netfault_model::{Id, Incident, IncidentState, State, Subject, Time};
use server::{Answer, Server};

const INCIDENTS: usize = 1_000;
const KILLS: usize = 100;
/// An incident changes, and ends, so many steps after it began.
const CHANGES: usize = 40;
const LASTS: usize = 90;
const STEPS: usize = INCIDENTS + LASTS;

/// The version of incident `n` that was decided last at `step`.
fn version(n: usize, step: usize) -> Option<Incident> {
    let (state, version, level) = match step.checked_sub(n)? {
        0..CHANGES => (IncidentState::Open, 1, State::Degrading),
        CHANGES..LASTS => (IncidentState::Update, 2, State::Out),
        _ => (IncidentState::Resolved, 3, State::Normal),
    };
    let started = Time::from_secs(1_700_000_000 + i64::try_from(n).unwrap_or(0));
    let at = Time::from_secs(started.secs() + i64::from(version));
    let name = format!("n{n}.example.com");
    let json = serde_json::json!({
        "id": Id::of(&["storm", &name]), "version": version, "state": state,
        "subject": Subject::Name { name: name.clone() }, "cause": "name_failing",
        "at": at, "first_evidence_at": started, "raised_at": started, "cleared_at": null,
        "confidence": 0.9, "baseline": "held", "children": [], "severity": 3, "level": level,
        "prefixes_down": 0, "prefixes": 0, "watched": true, "shown": true, "beacon": false,
        "flapping": false, "reopened": 0, "merged_into": null, "summary": format!("{name} is {}", level.name()),
    });
    // A name is never Degrading; what counts here is that both open.
    Some(serde_json::from_value(json).expect("an incident"))
}

/// What is new at `step`; with `all`, everything that was decided until then, in its newest state.
fn notices(step: usize, all: bool, open: &mut Open) -> Vec<Notice> {
    let new = [0, CHANGES, LASTS].map(|age| step.checked_sub(age));
    let of: Vec<usize> = match all {
        true => (0..INCIDENTS).collect(),
        false => new.into_iter().flatten().filter(|n| *n < INCIDENTS).collect(),
    };
    of.into_iter()
        .filter_map(|n| version(n, step))
        .filter_map(|incident| from_incident(&incident, Policy::default(), open))
        .collect()
}

fn setup(urls: &str) -> Setup {
    let receivers: Vec<Receiver> = urls
        .split(',')
        .enumerate()
        .map(|(n, url)| {
            let hook = Webhook::new(url, None, Duration::from_secs(20), []).expect("a URL");
            Receiver::new(format!("hook{n}"), To::Webhook(hook))
        })
        .collect();
    // The second one is told of updates as well.
    let route = |n: usize, updates| Route {
        name: format!("r{n}"),
        matcher: Default::default(),
        receivers: vec![format!("hook{n}")],
        group_by: Vec::new(),
        wait: Duration::ZERO,
        repeat: None,
        updates: Some(updates),
        goes_on: true,
    };
    Setup {
        receivers,
        routing: Routing {
            routes: vec![route(0, false), route(1, true)],
        },
        ..Setup::default()
    }
}

/// The process that is killed. Without its environment it does nothing.
#[tokio::test]
async fn storm() {
    let (Ok(folder), Ok(urls)) = (std::env::var("STORM_FOLDER"), std::env::var("STORM_URLS")) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let (alerts, mut open) = Alerts::start(setup(&urls), &folder.join("outbox")).expect("the outbox");
    let journal = folder.join("journal");
    let done = std::fs::read_to_string(&journal).unwrap_or_default().len();
    if done > 0 {
        // What was decided and may not have been told.
        alerts.send(&notices(done - 1, true, &mut open)).await;
    }
    let mut journal = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&journal)
        .expect("the journal");
    for step in done..STEPS {
        // As fast as the receivers are, as in a storm that lasts: else most of it would be over before it is told.
        while alerts.counts().any(|(_, counts)| counts.pending > 20) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let told = notices(step, false, &mut open);
        journal.write_all(b".").expect("the journal");
        alerts.send(&told).await;
    }
    println!("decided");
    loop {
        let pending: u64 = alerts.counts().map(|(_, counts)| counts.pending).sum();
        if pending == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn start(folder: &Path, urls: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "storm", "--nocapture"])
        .env("STORM_FOLDER", folder)
        .env("STORM_URLS", urls)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Everything that one receiver accepted: the event, and how many kills there had been.
type Heard = Vec<(String, usize)>;

fn heard(server: &Server, seen: usize, kills: usize) -> Heard {
    server
        .accepted()
        .iter()
        .skip(seen)
        .map(|request| (request.body["id"].as_str().unwrap_or_default().to_owned(), kills))
        .collect()
}

#[tokio::test]
async fn a_hundred_kills_in_a_storm_lose_no_resolve() {
    let folder = tempfile::tempdir().unwrap();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    // The second one is not well either.
    let trouble = (0..40)
        .map(|n| {
            if n % 8 == 3 {
                Answer::Status(500)
            } else {
                Answer::Status(200)
            }
        })
        .collect();
    let servers = [
        Server::start(vec![]).await,
        Server::like(anywhere, trouble, |_| Ok(()), (204, "")).await,
    ];
    let urls = format!("{},{}", servers[0].url(), servers[1].url());
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all: [Heard; 2] = [Vec::new(), Vec::new()];
    for kill in 0..KILLS {
        let mut child = start(folder.path(), &urls);
        wait_for_a_moment(&servers, &all, &mut random).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for (server, heard_by) in servers.iter().zip(&mut all) {
            server.idle().await;
            heard_by.extend(heard(server, heard_by.len(), kill));
        }
    }
    let journal = std::fs::read(folder.path().join("journal"))
        .unwrap_or_default()
        .len();
    println!(
        "{KILLS} kills, {journal} of {STEPS} steps decided, accepted: {} and {}",
        all[0].len(),
        all[1].len()
    );
    let last = tokio::task::spawn_blocking({
        let mut child = start(folder.path(), &urls);
        move || child.wait().unwrap()
    });
    assert!(last.await.unwrap().success());
    for (server, heard_by) in servers.iter().zip(&mut all) {
        heard_by.extend(heard(server, heard_by.len(), KILLS));
    }
    for (receiver, heard_by) in all.iter().enumerate() {
        check(receiver, heard_by);
    }
}

/// Half of the kills come after some more alerts were taken, half after a time, at the start as well.
async fn wait_for_a_moment(servers: &[Server; 2], all: &[Heard; 2], random: &mut fastrand::Rng) {
    if random.bool() {
        return tokio::time::sleep(Duration::from_micros(random.u64(0..120_000))).await;
    }
    let more = all[0].len() + random.usize(1..40);
    for _ in 0..4_000 {
        if servers[0].accepted_len() >= more {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One open and one resolve each, in this order; twice only where the kill cut off the answer of the first.
fn check(receiver: usize, heard: &Heard) {
    let mut last_of_kill: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, (_, kill)) in heard.iter().enumerate() {
        last_of_kill.insert(*kill, place);
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut doubled, mut lost_answers) = (0, BTreeSet::new());
    for (place, (id, _)) in heard.iter().enumerate() {
        if let Some(first) = seen.insert(id, place) {
            doubled += 1;
            let kill = heard[first].1;
            assert_eq!(
                last_of_kill[&kill], first,
                "{id} came twice, and its answer was not lost"
            );
            lost_answers.insert(kill);
        }
    }
    for n in 0..INCIDENTS {
        let id = Id::of(&["storm", &format!("n{n}.example.com")]);
        let place = |state: NoticeState| seen.get(format!("{id}-{}", state.name()).as_str());
        let resolved = place(NoticeState::Resolved);
        assert!(
            resolved.is_some(),
            "receiver {receiver}: the resolve of {n} is lost"
        );
        if let Some(opened) = place(NoticeState::Open) {
            assert!(
                opened < resolved.unwrap(),
                "receiver {receiver}: {n} ended before it opened"
            );
        }
    }
    let opens = seen.keys().filter(|id| id.ends_with("-open")).count();
    println!(
        "receiver {receiver}: {} accepted, {opens} opens, {doubled} twice after a lost answer",
        heard.len()
    );
    assert!(opens > INCIDENTS / 2, "most incidents last longer than a restart");
}
