use netfault_engine::dns::DnsSettings;
use netfault_engine::{STATE_VERSION, Settings};
use netfault_model::{Input, Time, Watch};

use super::*;

fn engine(seconds: i64) -> Engine {
    let mut engine = Engine::new(Settings::default(), DnsSettings::default(), Watch::default());
    let mut out = Vec::new();
    engine.push(Input::Tick(Time::from_secs(seconds)), &mut out);
    engine.finish(None, &mut out);
    engine
}

fn keep(dir: &Path, seconds: i64, offset: u64, safe: u64) {
    let mut keeper = Keeper::new(dir, EVERY);
    keeper.save(&engine(seconds), offset);
    keeper.finish(safe);
}

#[test]
fn the_newest_that_is_safe_is_loaded_and_old_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    assert!(newest(dir.path()).is_none());
    for (seconds, offset, safe) in [(10, 1, 1), (20, 2, 2), (30, 3, 9), (40, 4, 3)] {
        keep(dir.path(), seconds, offset, safe);
    }
    let saved = newest(dir.path()).unwrap();
    assert_eq!(
        (saved.offset, saved.at),
        (3, Time::from_secs(30)),
        "the last one was never safe"
    );
    assert_eq!(valid(&super::dir(dir.path())).unwrap().len(), KEPT);
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    keep(dir.path(), 10, 1, 1);
    keep(dir.path(), 20, 2, 2);
    let newest_path = valid(&super::dir(dir.path())).unwrap().pop().unwrap();
    let good = fs::read(&newest_path).unwrap();
    let offset_of = |bytes: &[u8]| {
        fs::write(&newest_path, bytes).unwrap();
        newest(dir.path()).map(|saved| saved.offset)
    };
    assert_eq!(offset_of(&good), Some(2));
    for length in 0..good.len() {
        assert_eq!(offset_of(&good[..length]), Some(1), "cut at {length}");
    }
    let mut other_version = good.clone();
    other_version[8] = other_version[8].wrapping_add(1);
    assert!(
        matches!(format::unpack(&other_version), Err(format::Unreadable::Version(v)) if v == STATE_VERSION + 1)
    );
    assert_eq!(offset_of(&other_version), Some(1));
    let mut damaged = good.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    assert_eq!(offset_of(&damaged), Some(1));
}
