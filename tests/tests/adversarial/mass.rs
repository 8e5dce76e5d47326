//! Very many prefixes at once: one verdict per fact, in bounded time and memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use netfault_model::Prefix;
use serde_json::{Value, json};

use crate::golden;
use crate::program::{archive, replay, run};
use crate::world::{HOUR, World};

const T: i64 = 1800;

/// What is compared of an answer that is too long for a file: how many transitions of which kind and when, and of
/// each incident what it came to.
#[derive(Default)]
struct Digest {
    transitions: BTreeMap<String, u64>,
    others: BTreeMap<String, u64>,
    /// By id: how many versions, and the last one.
    incidents: BTreeMap<String, (u64, Value)>,
}

impl Digest {
    /// Transitions are many and alike, so only their beginning is read, in the fixed order of its fields.
    fn add(&mut self, line: &str) {
        if line.contains(r#""kind":"transition""#) {
            let subject = line
                .split_once(r#""type":""#)
                .and_then(|(_, rest)| rest.split_once('"'));
            let (kind, rest) = subject.expect("a subject");
            let (_, rest) = rest.split_once(r#""from":"#).expect("a state");
            let (states, _) = rest.split_once(r#","first_evidence_at""#).expect("the time");
            let key = format!(r#"{{"kind":"transition","subject":"{kind}","from":{states}}}"#);
            *self.transitions.entry(key).or_default() += 1;
            return;
        }
        let line: Value = serde_json::from_str(line).expect("JSON");
        if line["kind"] != "incident" {
            *self
                .others
                .entry(line["kind"].to_string() + &line["what"].to_string())
                .or_default() += 1;
            return;
        }
        let id = line["id"].as_str().expect("an id").to_owned();
        let (versions, last) = self.incidents.entry(id).or_default();
        *versions += 1;
        *last = line;
    }

    fn count(&self, what: &str) -> u64 {
        let of = |(key, count): (&String, &u64)| key.contains(what).then_some(*count);
        self.transitions.iter().filter_map(of).sum()
    }

    /// The last version of each incident.
    fn incidents(&self) -> impl Iterator<Item = &Value> {
        self.incidents.values().map(|(_, last)| last)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (key, count) in self.transitions.iter().chain(&self.others) {
            writeln!(text, "{count} {key}").expect("a string takes all");
        }
        for (id, (versions, last)) in &self.incidents {
            let subject = match last["subject"]["prefix"].as_str() {
                Some(prefix) => prefix.to_owned(),
                None => last["subject"]["origin"].to_string(),
            };
            let children = last["children"].as_array().map_or(0, Vec::len);
            let (state, cause, shown) = (&last["state"], &last["cause"], &last["shown"]);
            writeln!(
                text,
                "{id} {subject} {state} {cause} {children} shown:{shown} x{versions}"
            )
            .expect("so it does");
        }
        text
    }
}

fn prefixes_among_children(incident: &Value) -> usize {
    let children = incident["children"].as_array().expect("children");
    children
        .iter()
        .filter(|child| child["subject"]["type"] == "prefix")
        .count()
}

/// One AS loses all of its 150 prefixes, at all twelve peers, within twelve seconds, and has them back after twenty
/// minutes. That is one fact: one incident, about the AS, with 150 children, opened once and resolved; and not a word of
/// a leak when they come back by the path that they had.
#[test]
fn one_as_loses_150_prefixes() {
    let prefixes: Vec<String> = (0..150).map(|number| format!("198.18.{number}.0/24")).collect();
    let names: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let mut world = World::of_one(12);
    names.iter().for_each(|name| world.hold(name, 5150));
    world.hold("192.0.2.0/24", 5001);
    world.beat(HOUR);
    for peer in world.peers() {
        world.withdraw(T + peer as i64, peer, &names);
        world.back(T + 1200 + peer as i64, peer, &names, 5150);
    }
    let said = replay(&mut world, None);
    for name in &names {
        let expected = [
            (T + 2 + 10, "degrading"), // 9 of 12 are below 0.80
            (T + 9 + 30, "out"),
            (T + 1207 + 30, "recovering"),
            (T + 1210 + 300, "normal"),
        ];
        assert_eq!(said.story(name), expected, "{name}");
    }
    said.only_about(&names);
    said.one_incident_and_resolved();
    let versions = said.one_incident();
    let last = versions[versions.len() - 1];
    assert_eq!(last["subject"], json!({"type": "origin", "origin": 5150}));
    assert_eq!(
        (&last["cause"], &last["prefixes"]),
        (&json!("origin_withdrawn"), &json!(150))
    );
    assert_eq!(
        (prefixes_among_children(last), &last["shown"]),
        (150, &json!(true))
    );
    assert!(
        versions.len() <= 12,
        "one verdict, not {} versions",
        versions.len()
    );
    said.nothing_notable();
    let mut digest = Digest::default();
    said.text.lines().for_each(|line| digest.add(line));
    golden::compare("one_as_loses_150_prefixes", &digest.text());
}

/// Two networks that have nothing to do with each other lose twenty prefixes each, at the same moment. That they fell
/// together is no reason to tell them as one: two incidents.
#[test]
fn two_origins_at_the_same_moment() {
    let of = |half: usize| (0..20).map(move |number| format!("198.{}.{number}.0/24", 18 + half));
    let halves: [Vec<String>; 2] = [of(0).collect(), of(1).collect()];
    let mut world = World::of_one(12);
    for (names, origin) in halves.iter().zip([5018, 5019]) {
        names.iter().for_each(|name| world.hold(name, origin));
    }
    world.beat(HOUR);
    for peer in world.peers() {
        for (names, origin) in halves.iter().zip([5018, 5019]) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            world.withdraw(T + peer as i64, peer, &names);
            world.back(T + 600 + peer as i64, peer, &names, origin);
        }
    }
    let said = replay(&mut world, None);
    let incidents = said.incidents();
    let mut subjects = Vec::new();
    for versions in incidents.values() {
        let last = versions[versions.len() - 1];
        assert_eq!(
            (&last["state"], prefixes_among_children(last)),
            (&json!("resolved"), 20)
        );
        subjects.push(last["subject"]["origin"].as_u64());
    }
    subjects.sort_unstable();
    assert_eq!(subjects, [Some(5018), Some(5019)]);
    let mut digest = Digest::default();
    said.text.lines().for_each(|line| digest.add(line));
    golden::compare("two_origins_at_the_same_moment", &digest.text());
}

/// The first 500 origins have 199 prefixes each, the next 500 one each: 100,000 in all, /24s from 10.0.0.0 on.
fn many() -> Vec<(String, u32)> {
    let mut all = Vec::new();
    for origin in 0..1000 {
        let count = if origin < 500 { 199 } else { 1 };
        for _ in 0..count {
            let number = all.len() as u32;
            let [_, high, middle, low] = number.to_be_bytes();
            all.push((format!("{}.{middle}.{low}.0/24", 10 + high), 10_001 + origin));
        }
    }
    all
}

/// Ten peers withdraw 100,000 prefixes of 1,000 origins within ten seconds: a table's worth at once, by no common
/// cause that routes could show. Every prefix is Out, each origin is told once, and not each prefix: 1,000
/// incidents, of which the 500 big ones are shown. In seconds, and in a gigabyte.
#[test]
fn a_hundred_thousand_prefixes_of_many_origins() {
    let mut world = World::of_one(10);
    let all = many();
    all.iter()
        .for_each(|(prefix, origin)| world.hold(prefix, *origin));
    world.beat(T + 600);
    let prefixes: Vec<Prefix> = all
        .iter()
        .map(|(prefix, _)| prefix.parse().expect("a prefix"))
        .collect();
    for peer in world.peers() {
        for some in prefixes.chunks(900) {
            world.update(T + peer as i64, peer, some, &[], None);
        }
    }
    let folder = archive();
    world.write(folder.path());
    drop(world);
    let began = Instant::now();
    let mut digest = Digest::default();
    let most = run(folder.path(), None, |line| digest.add(line));
    let took = began.elapsed();
    println!("100,000 prefixes: {:.1} s, {most} MB", took.as_secs_f64());
    let count =
        |from: &str, to: &str| digest.count(&format!(r#""subject":"prefix","from":"{from}","to":"{to}""#));
    assert_eq!(
        (count("normal", "degrading"), count("degrading", "out")),
        (100_000, 100_000)
    );
    assert_eq!(digest.count(r#""subject":"prefix""#), 200_000);
    assert_eq!(digest.incidents.len(), 1000);
    let shown = digest.incidents().filter(|incident| incident["shown"] == true);
    assert_eq!(shown.count(), 500);
    assert_eq!(
        digest.incidents().map(prefixes_among_children).sum::<usize>(),
        100_000
    );
    assert!(
        took < Duration::from_secs(60) && most < 1024,
        "{took:?}, {most} MB"
    );
    golden::compare("100000_prefixes_of_many_origins", &digest.text());
}
