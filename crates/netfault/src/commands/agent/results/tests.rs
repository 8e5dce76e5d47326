use std::path::Path;
use std::time::Duration;

use netfault_model::{Gap, GapSource};

use super::super::spool::Limits;
use super::*;

fn now() -> Time {
    Time::from_secs(1_700_000_000)
}

fn gap(reason: &str) -> Input {
    Input::Gap(Box::new(Gap {
        at: now(),
        source: GapSource::Dns,
        collector: None,
        peer: None,
        from: None,
        to: None,
        offset: None,
        reason: reason.to_owned().into(),
        lost: None,
    }))
}

fn spool(dir: &Path) -> Spool {
    let limits = Limits {
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3600),
    };
    Spool::open(dir, limits, now()).unwrap().0
}

fn sizes(spool: &mut Spool) -> Vec<u32> {
    let mut sizes = Vec::new();
    while let Some(front) = spool.front().cloned() {
        sizes.push(front.items);
        spool.remove(front.position);
    }
    sizes
}

#[test]
fn many_results_are_several_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (mut results, mut spool) = (Results::default(), spool(dir.path()));
    results.add(vec![Input::Tick(now())]);
    results.flush(&mut spool, now());
    assert!(spool.is_empty(), "a tick is nothing to report");
    results.add(vec![gap("x"); BATCH + 1]);
    results.flush(&mut spool, now());
    assert_eq!(sizes(&mut spool), [BATCH as u32, 1]);
}

#[test]
fn long_results_are_smaller_batches_and_one_that_is_too_long_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (mut results, mut spool) = (Results::default(), spool(dir.path()));
    let long = "x".repeat(batch::MAX_UNPACKED / 3);
    results.add(vec![gap(&long); 4]);
    results.add(vec![gap(&long.repeat(4)), gap("short")]);
    results.flush(&mut spool, now());
    let sizes = sizes(&mut spool);
    assert_eq!(sizes.iter().sum::<u32>(), 6, "{sizes:?}");
    assert!(sizes.len() >= 3 && results.items.is_empty());
}

#[test]
fn while_the_disk_takes_nothing_the_newest_are_kept_and_the_others_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut results, mut spool) = (Results::default(), spool(dir.path()));
    std::fs::remove_dir_all(dir.path()).unwrap();
    for _ in 0..3 {
        results.add(vec![gap("x"); 10_000]);
        results.flush(&mut spool, now());
    }
    assert_eq!((results.items.len(), results.lost), (MAX_KEPT, 10_000));
    std::fs::create_dir(dir.path()).unwrap();
    results.flush(&mut spool, now());
    results.flush(&mut spool, now());
    let sizes = sizes(&mut spool);
    assert_eq!(
        sizes.iter().sum::<u32>() as usize,
        MAX_KEPT + 1,
        "and one gap that counts: {sizes:?}"
    );
    assert_eq!(results.lost, 0);
}
