//! SIGKILL of `netfault run` at random moments, a hundred times, during a storm of a thousand incidents: no open without
//! its resolve, no lost resolve, and nothing told twice unless the answer was lost.
//!
//! The storm comes from a RIS Live server ([`script`]) while the service is killed and started again on the same data. What
//! happens while nobody listens waits for the next run, which also hears again what the last one was sent at its end; in the
//! end every route is announced once more, so whatever was lost, every incident must have ended. The truth is the journal,
//! played as a whole.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/feed.rs"]
mod feed;
mod receiver;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use common::*;
use feed::Feed;
use netfault_model::Time;
use receiver::{Book, Fate, Receiver, Taken};
use script::{AGAIN, ORIGINS, STEPS, Storm};

const KILLS: usize = 100;
/// A run connects after about half a second.
const LONGEST_LIFE: Duration = Duration::from_millis(2_000);
/// After a failure a receiver is left alone for up to two seconds, microseconds.
const PAUSE: i64 = 2_000_000;

fn configured(dir: &Path, feed: &str, receivers: &[Receiver; 2]) -> String {
    let webhook = |url: &str| {
        format!(
            "webhook: {{url: '{url}', headers: {{{}: '${{STORM_RUN}}'}}}}",
            receiver::RUN
        )
    };
    let text = format!(
        "watch: {{prefixes: [10.0.0.0/8]}}\n\
         sources: {{ris_live: {{url: '{feed}', everything: true}}}}\n\
         checkpoint_every: 1s\n\
         detect: {{held_for_s: 2, degrading_hold_s: 1, out_hold_s: 1, partial_hold_s: 1, \
           recovering_hold_s: 1, recovered_hold_s: 2, clear_hold_s: 1, flap_entries: 100}}\n\
         alerts:\n  receivers:\n    - {{name: steady, {}}}\n    - {{name: lossy, {}}}\n  \
           routes:\n    - {{receivers: [steady], continue: true}}\n    - {{receivers: [lossy], updates: true}}\n",
        webhook(&receivers[0].url),
        webhook(&receivers[1].url)
    );
    let path = dir.join("netfault.yaml");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn service(dir: &Path, config: &str, run: usize) -> Running {
    let mut command = netfault(dir);
    command.args(["--format", "ndjson", "run", "-c", config]);
    command.env("STORM_RUN", run.to_string());
    Running::start(command, dir, &format!("run{run}"))
}

#[test]
fn a_hundred_kills_of_the_service_in_a_storm_lose_no_resolve() {
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::start();
    let receivers = [
        Receiver::start(|_| Fate::Answered),
        Receiver::start(|n| match n {
            _ if n.is_multiple_of(101) => Fate::AnswerLost,
            _ if n.is_multiple_of(211) => Fate::Away,
            _ => Fate::Answered,
        }),
    ];
    let config = configured(dir.path(), &feed.url, &receivers);
    let storm = Storm::start(feed);
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut running = service(dir.path(), &config, 0);
    running.says("RIS Live: connected");
    wait_for("the storm", || (storm.step() > 0).then_some(()));
    for kill in 1..=KILLS {
        storm.go_on_to(kill as f64 / KILLS as f64);
        wait_for_a_moment(&receivers, &mut random);
        running.kill();
        running = service(dir.path(), &config, kill);
    }
    println!("{KILLS} kills until step {} of {STEPS}", storm.step());
    assert!(storm.step() > STEPS / 2, "most of the storm was after the kills");
    wait_for("the end of the storm", || (storm.step() == STEPS).then_some(()));
    wait_for_silence(&receivers);
    running.stop().0.ok();
    let log =
        |run: usize| std::fs::read_to_string(dir.path().join(format!("run{run}.err"))).unwrap_or_default();
    let resumed = (0..=KILLS).filter(|&run| log(run).contains("loaded from its checkpoint"));
    println!("{} of {KILLS} starts from a checkpoint", resumed.count());
    let truth = Truth::of_journal(dir.path(), &config);
    for (name, receiver) in ["steady", "lossy"].iter().zip(&receivers) {
        check(name, &receiver.book(), &truth);
    }
}

/// Some kills come at any time, at the start as well; some just when a receiver has taken something.
fn wait_for_a_moment(receivers: &[Receiver; 2], random: &mut fastrand::Rng) {
    let (life, begun) = (LONGEST_LIFE.mul_f64(random.f64()), std::time::Instant::now());
    let taken = random.bool().then(|| receivers[0].len() + random.usize(1..30));
    while begun.elapsed() < life && taken.is_none_or(|taken| receivers[0].len() < taken) {
        pause(Duration::from_micros(500));
    }
}

/// All that was opened is over, and nothing more comes. The longest pause of a sender is shorter.
fn wait_for_silence(receivers: &[Receiver; 2]) {
    wait_for("the last resolve", || {
        let mut open = receivers.iter().map(|it| still_open(&it.book().taken).len());
        open.all(|count| count == 0).then_some(())
    });
    wait_for("silence", || {
        let before = receivers.each_ref().map(Receiver::len);
        pause(Duration::from_secs(3));
        (before == receivers.each_ref().map(Receiver::len)).then_some(())
    });
}

/// Of what is watched; what netfault says of itself is another matter.
fn about_targets(taken: &[Taken]) -> impl Iterator<Item = &Taken> {
    taken.iter().filter(|it| it.about == "target")
}

fn still_open(taken: &[Taken]) -> BTreeSet<&str> {
    let of_state = |state: &str| -> BTreeSet<&str> {
        let states = about_targets(taken).filter(|it| it.state == state);
        states.map(|it| it.alert.as_str()).collect()
    };
    &of_state("open") - &of_state("resolved")
}

/// Which alerts there were.
struct Truth {
    opened: BTreeSet<String>,
}

impl Truth {
    fn of_journal(dir: &Path, config: &str) -> Truth {
        let journal = dir.join(".netfault/journal").display().to_string();
        let args = ["-q", "--format", "ndjson", "replay", "-c", config, &journal];
        let mut opened = BTreeSet::new();
        let mut newest = BTreeMap::new();
        let played = ended(netfault(dir).args(args).env("STORM_RUN", "0")).ok();
        for incident in incidents(&played.out) {
            let id = incident["id"].as_str().expect("an id").to_owned();
            let alert = match incident["reopened"].as_u64().unwrap_or(0) {
                0 => id,
                times => format!("{id}-{}", times + 1),
            };
            if may_alert(&incident) {
                opened.insert(alert.clone());
            }
            newest.insert(alert, incident["state"].clone());
        }
        let open: Vec<_> = newest.iter().filter(|(_, state)| *state != "resolved").collect();
        assert!(open.is_empty(), "the storm is over, and these are not: {open:?}");
        Truth { opened }
    }
}

fn check(name: &str, book: &Book, truth: &Truth) {
    let (first, twice) = events(name, &book.taken);
    let told: BTreeSet<&str> = about_targets(&book.taken).map(|it| it.alert.as_str()).collect();
    let mut never_opened = 0;
    for alert in &told {
        assert!(truth.opened.contains(*alert), "{name}: {alert} is no alert");
        let place = |state: &str| first.get(format!("{alert}-{state}").as_str());
        let Some(resolved) = place("resolved") else {
            panic!("{name}: the resolve of {alert} is lost")
        };
        match place("open") {
            Some(opened) => assert!(opened < resolved, "{name}: {alert} ended before it opened"),
            None => {
                never_opened += 1;
                let waited = was_held_up(book, &book.taken[*resolved]);
                assert!(waited, "{name}: {alert} was resolved and never opened");
            }
        }
    }
    let updates = book.taken.iter().filter(|it| it.state == "update").count();
    println!(
        "{name}: {} taken, {updates} of them updates, {} of {} alerts told, {never_opened} of them only as over, {twice} events twice after a lost answer",
        book.taken.len(),
        told.len(),
        truth.opened.len()
    );
    assert!(
        told.len() >= ORIGINS + AGAIN / 2,
        "{name}: only {} alerts",
        told.len()
    );
}

/// Where each event was taken last, and how many came twice. That is only right where the answer to the first was lost: by
/// the receiver, or because it was the last thing that a run sent.
fn events<'a>(name: &str, taken: &'a [Taken]) -> (BTreeMap<&'a str, usize>, usize) {
    let runs = taken.iter().enumerate().map(|(place, it)| (it.run, place));
    let last_of_run: BTreeMap<usize, usize> = runs.collect();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let mut twice = 0;
    for (place, it) in taken.iter().enumerate() {
        if let Some(before) = last.insert(&it.event, place) {
            twice += 1;
            let was_lost = !taken[before].answered || last_of_run[&taken[before].run] == before;
            assert!(
                was_lost,
                "{name}: {} came twice, and its answer was not lost",
                it.event
            );
        }
    }
    (last, twice)
}

/// Only the end of an outage is told that was over before its receiver was well again.
fn was_held_up(book: &Book, resolved: &Taken) -> bool {
    let span = resolved.opened_at.plus_micros(-PAUSE)..resolved.at;
    book.failed.iter().any(|failed: &Time| span.contains(failed))
}
