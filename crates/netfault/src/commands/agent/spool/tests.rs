use netfault_api::batch::{self, Item};

use super::*;

const ROOMY: Limits = Limits {
    max_bytes: 1 << 30,
    max_age: Duration::from_secs(3600),
};

fn at(seconds: i64) -> Time {
    Time::from_secs(1_700_000_000 + seconds)
}

fn packed(reason: &str) -> Vec<u8> {
    let hole = Hole {
        at: at(0),
        from: None,
        to: None,
        reason: reason.to_owned(),
        lost: None,
    };
    batch::pack(&[Item::Gap(hole)]).unwrap()
}

fn open(dir: &Path, limits: Limits, now: Time) -> (Spool, Vec<String>) {
    let (spool, holes) = Spool::open(dir, limits, now).unwrap();
    (spool, holes.into_iter().map(|hole| hole.reason).collect())
}

/// What would be sent, in order.
fn reasons(mut spool: Spool) -> Vec<String> {
    let mut reasons = Vec::new();
    while let Some(front) = spool.front().cloned() {
        match batch::unpack(&front.batch().unwrap()).unwrap().as_slice() {
            [Item::Gap(hole)] => reasons.push(hole.reason.clone()),
            other => panic!("{other:?}"),
        }
        spool.remove(front.position).unwrap();
    }
    reasons
}

#[test]
fn what_a_killed_agent_left_is_sent_first_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, holes) = open(dir.path(), ROOMY, at(0));
    assert!(holes.is_empty());
    for (n, reason) in ["a", "b"].into_iter().enumerate() {
        first
            .add(1, (at(n as i64), at(n as i64)), &packed(reason))
            .unwrap();
    }
    let before = first.segments[1].position;
    drop(first);
    std::fs::write(dir.path().join("00-00.part"), "torn").unwrap();
    // Its clock was set back meanwhile.
    let (mut second, holes) = open(dir.path(), ROOMY, at(-1000));
    assert_eq!(holes, ["the agent was not running"]);
    assert_eq!(second.size(), (2, 2));
    second.add(1, (at(9), at(9)), &packed("c")).unwrap();
    assert!(second.segments[2].position > before);
    assert!(!dir.path().join("00-00.part").exists());
    assert_eq!(reasons(second), ["a", "b", "c"]);
    assert!(
        open(dir.path(), ROOMY, at(0)).0.is_empty(),
        "what is sent is gone"
    );
}

#[test]
fn two_agents_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path(), ROOMY, at(0));
    let second = Spool::open(dir.path(), ROOMY, at(0)).unwrap_err();
    assert_eq!(second.to_string(), "another agent uses it");
}

#[test]
fn a_damaged_batch_is_a_gap_and_the_others_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), ROOMY, at(0));
    for reason in ["a", "b", "c"] {
        spool.add(1, (at(0), at(0)), &packed(reason)).unwrap();
    }
    let paths: Vec<PathBuf> = spool
        .segments
        .iter()
        .map(|segment| segment.path.clone())
        .collect();
    drop(spool);
    let mut bytes = std::fs::read(&paths[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&paths[0], bytes).unwrap();
    std::fs::write(&paths[2], b"nfs").unwrap();
    let (spool, mut holes) = open(dir.path(), ROOMY, at(0));
    holes.sort();
    assert_eq!(
        holes,
        [
            "a batch of the spool is damaged: it is no batch",
            "a batch of the spool is damaged: its check sum is wrong",
            "the agent was not running"
        ]
    );
    assert_eq!(reasons(spool), ["b"]);
}

#[test]
fn the_oldest_go_first_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), ROOMY, at(0));
    for n in 0..6 {
        spool.add(10, (at(n), at(n)), &packed(&n.to_string())).unwrap();
    }
    spool.limits.max_bytes = [0, 4, 5].map(|n: usize| spool.segments[n].bytes).iter().sum();
    let holes = spool.trim(at(6), true);
    let told: Vec<_> = holes
        .iter()
        .map(|hole| (hole.reason.as_str(), hole.lost, hole.from, hole.to))
        .collect();
    assert_eq!(
        told,
        [(
            "the spool was full: results dropped",
            Some(30),
            Some(at(1)),
            Some(at(3))
        )],
        "the first is under way"
    );
    spool.limits.max_age = Duration::from_secs(60);
    assert!(spool.trim(at(60), false).is_empty());
    let holes = spool.trim(at(65), false);
    assert_eq!(holes.len(), 1);
    assert_eq!((holes[0].lost, holes[0].to), (Some(20), Some(at(4))));
    assert_eq!(reasons(spool), ["5"]);
}

#[test]
fn a_later_run_elsewhere_makes_ours_later_still() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), ROOMY, at(0));
    for reason in ["a", "b"] {
        spool.add(1, (at(0), at(0)), &packed(reason)).unwrap();
    }
    let known = 3_000_000_000_000_000_000;
    spool.renumber(known).unwrap();
    spool.add(1, (at(0), at(0)), &packed("c")).unwrap();
    let positions: Vec<_> = spool.segments.iter().map(|segment| segment.position).collect();
    let epoch = known + 1;
    assert_eq!(positions, [1, 2, 3].map(|seq| Position { epoch, seq }));
    drop(spool);
    assert_eq!(reasons(open(dir.path(), ROOMY, at(0)).0), ["a", "b", "c"]);
}
