//! The spooler thread: from a batch in memory to a synced segment.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Cut, Overflow, Shared};
use crate::frame;
use crate::rows::Table;
use crate::segment::Segment;
use crate::sender::Wake;

/// How often the age of the open batches is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Between two attempts to write to a disk that refuses.
const DISK_RETRY: Duration = Duration::from_millis(500);

/// How long a replay waits for room on the disk.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(shared: &Shared, cuts: &Receiver<Cut>, wake: &Wake) {
    loop {
        match cuts.recv_timeout(TICK) {
            Ok(cut) => store(shared, cut, wake),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let aged = shared.front().cut_older(shared.config.max_age);
        for cut in aged {
            shared.counters.queue(cut.batch.table(), cut.batch.rows() as u64);
            store(shared, cut, wake);
        }
    }
}

/// Encodes, waits for room where that is wanted, writes. Afterwards the rows are in the spool or counted as shed.
fn store(shared: &Shared, cut: Cut, wake: &Wake) {
    let (table, rows) = (cut.batch.table(), cut.batch.rows());
    let written = if has_room(shared, table, 0) {
        write(shared, &cut, wake)
    } else {
        Err("the spool is full")
    };
    // The rows are safe or given up: either way nobody waits for them.
    shared.front().done(cut.ticket);
    shared.counters.unqueue(table, rows as u64);
    match written {
        Ok(()) => {
            let committed = shared.front().committed();
            shared.spool().commit(committed);
        }
        Err(why) => shared.shed(&cut.batch, why),
    }
}

fn write(shared: &Shared, cut: &Cut, wake: &Wake) -> Result<(), &'static str> {
    let table = cut.batch.table();
    let body = frame::compress(&cut.batch.encode());
    if !has_room(shared, table, body.len() as u64) {
        return Err("the spool is full");
    }
    let newest = cut.batch.newest().map_or(0, |time| time.micros());
    let number = shared.spool().take_number();
    let segment = Segment::new(
        number,
        table,
        cut.batch.rows() as u32,
        cut.journal_offset,
        newest,
        &body,
    );
    let dir = shared.config.spool_dir.as_path();
    let since = Instant::now();
    while let Err(error) = segment.store(dir, &body) {
        if shared.counters.error(Some(format!("{}: {error}", dir.display()))) {
            tracing::error!(dir = %dir.display(), %error, "the spool cannot be written");
        }
        let may_wait = shared.config.overflow == Overflow::Wait || !table.may_be_shed();
        // A replay fails, and a person plays it again; the service waits for room as long as it lives.
        let gives_up = shared.config.overflow == Overflow::Wait && since.elapsed() > DISK_PATIENCE;
        if !may_wait || gives_up || shared.counters.is_over() {
            return Err("the disk refuses");
        }
        let spool = shared.spool();
        let _ = shared.room.wait_timeout(spool, DISK_RETRY);
    }
    shared.spool().add(segment);
    wake.wake();
    Ok(())
}

/// True if so many more bytes of this table may be spooled; waits for that where the producer may wait.
fn has_room(shared: &Shared, table: Table, bytes: u64) -> bool {
    let config = &shared.config;
    let limit = config.spool_max_bytes.saturating_sub(config.reserve_bytes);
    let mut spool = shared.spool();
    if !table.may_be_shed() {
        // The reserve is for these. Beyond even that they are written as long as the disk takes them.
        if spool.bytes() + bytes > config.spool_max_bytes {
            drop(spool);
            if shared
                .counters
                .error(Some("the spool and its reserve are full".to_owned()))
            {
                tracing::error!(
                    table = table.name(),
                    "the spool and its reserve are full: ClickHouse takes nothing"
                );
            }
        }
        return true;
    }
    loop {
        // An empty spool takes a batch of any size: it would never fit otherwise.
        if spool.bytes() + bytes <= limit || spool.segments() == 0 {
            return true;
        }
        if config.overflow == Overflow::Shed || shared.counters.is_over() {
            return false;
        }
        spool = match shared.room.wait_timeout(spool, DISK_RETRY) {
            Ok((spool, _)) => spool,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}
