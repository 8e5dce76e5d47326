//! What was taken of each agent, so that a batch that comes twice is taken once, whatever is killed in between.
//!
//! `<data_dir>/agents.json` names, for each agent, its last batch and the journal offset at which that batch begins. It is on disk
//! *before* the batch goes into the journal. After a kill the journal's end says how much of the batch is there: nothing, all
//! of it, or a part; the rest is taken when the agent sends it again, for it was not told that it was safe.
//!
//! Without a journal a batch counts as taken from that moment: there is nothing that could be played again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use netfault_api::Position;
use serde::{Deserialize, Serialize};

const FILE: &str = "agents.json";
const VERSION: u32 = 1;

/// The last batch of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    epoch: u64,
    seq: u64,
    /// Of its inputs, those that were in the journal before `offset`.
    before: u64,
    /// Where the others begin, and how many they are.
    offset: u64,
    count: u64,
    /// Inputs that the journal turned out not to have at the start.
    #[serde(skip)]
    left: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    agents: BTreeMap<String, Entry>,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Take it, but for its first inputs, which are in the journal.
    New {
        skip: usize,
    },
    Known,
    /// A later run of the agent has reported; its epoch.
    Older(u64),
}

#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Ledger {
    /// `end` is that of the journal, if there is one.
    pub fn open(data_dir: &Path, end: Option<u64>) -> Self {
        let path = data_dir.join(FILE);
        let mut entries = match read(&path) {
            Ok(entries) => entries,
            Err(error) => {
                let path = path.display();
                tracing::error!(
                    "{path}: {error}; a batch of an agent that was not answered may be taken twice"
                );
                BTreeMap::new()
            }
        };
        for entry in entries.values_mut() {
            entry.settle(end);
        }
        Ledger { path, entries }
    }

    /// Where a batch of `count` inputs belongs.
    pub fn place(&self, agent: &str, position: Position, count: usize) -> Place {
        let Some(entry) = self.entries.get(agent) else {
            return Place::New { skip: 0 };
        };
        let last = Position {
            epoch: entry.epoch,
            seq: entry.seq,
        };
        if position > last {
            Place::New { skip: 0 }
        } else if position == last && entry.left > 0 && (entry.before as usize) <= count {
            Place::New {
                skip: entry.before as usize,
            }
        } else if position.epoch < last.epoch {
            Place::Older(last.epoch)
        } else {
            Place::Known
        }
    }

    /// Notes that a batch is about to be written at `offset` of the journal: from now on it is known. Nothing may be written
    /// before [`save`](Self::save).
    pub fn begin(&mut self, agent: &str, position: Position, offset: u64, skip: usize, count: usize) {
        let entry = Entry {
            epoch: position.epoch,
            seq: position.seq,
            before: skip as u64,
            offset,
            count: count as u64,
            left: 0,
        };
        self.entries.insert(agent.to_owned(), entry);
    }

    /// Onto the disk, whole or not at all.
    pub fn save(&self) -> io::Result<()> {
        let document = Document {
            version: VERSION,
            agents: self.entries.clone(),
        };
        let new = self.path.with_extension("new");
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec(&document)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        fs::File::open(folder)?.sync_all()
    }
}

impl Entry {
    /// What the journal has of it, now that it is known where the journal ends. The rest stands nowhere yet: what others
    /// append from here on must not be taken for it at the next start.
    fn settle(&mut self, end: Option<u64>) {
        let there = end.map_or(self.count, |end| end.saturating_sub(self.offset).min(self.count));
        self.before = self.before.saturating_add(there);
        self.left = self.count - there;
        self.count = self.left;
        self.offset = u64::MAX;
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Entry>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    match serde_json::from_slice(&bytes) {
        Ok(Document {
            version: VERSION,
            agents,
        }) => Ok(agents),
        Ok(other) => Err(format!("it has version {}", other.version)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Place = Place::New { skip: 0 };

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    fn ledger(dir: &Path, end: u64) -> Ledger {
        Ledger::open(dir, Some(end))
    }

    #[test]
    fn what_was_taken_is_known_and_what_is_later_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), 0);
        assert_eq!(ledger.place("a", at(5, 1), 10), NEW);
        ledger.begin("a", at(5, 1), 0, 0, 10);
        for (position, place) in [
            (at(5, 1), Place::Known),
            (at(5, 0), Place::Known),
            (at(5, 2), NEW),
            (at(5, 9), NEW), // the agent dropped some: it says so itself
            (at(6, 1), NEW),
            (at(4, 7), Place::Older(5)),
        ] {
            assert_eq!(ledger.place("a", position, 10), place, "{position:?}");
        }
        assert_eq!(ledger.place("b", at(5, 1), 10), NEW);
    }

    /// Killed after the ledger was written and before, in the middle of, or after the writing of the journal.
    #[test]
    fn after_a_kill_the_journals_end_says_what_is_left() {
        for (end, place) in [
            (100, NEW),
            (103, Place::New { skip: 3 }),
            (110, Place::Known),
            (500, Place::Known),
            (0, NEW), // the journal was removed
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut before = ledger(dir.path(), 100);
            before.begin("a", at(5, 1), 100, 0, 10);
            before.save().unwrap();
            let mut after = ledger(dir.path(), end);
            assert_eq!(after.place("a", at(5, 1), 10), place, "{end}");
            if let Place::New { skip } = place {
                // Killed a second time, in the middle of what was left.
                after.begin("a", at(5, 1), end, skip, 10 - skip);
                after.save().unwrap();
                let again = ledger(dir.path(), end + 2).place("a", at(5, 1), 10);
                assert_eq!(again, Place::New { skip: skip + 2 });
            }
        }
    }

    #[test]
    fn what_others_append_is_not_taken_for_the_rest_of_a_batch() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = ledger(dir.path(), 100);
        first.begin("a", at(5, 1), 100, 0, 10);
        first.save().unwrap();
        let mut second = ledger(dir.path(), 103);
        second.begin("b", at(9, 1), 103, 0, 50);
        second.save().unwrap();
        let third = ledger(dir.path(), 153);
        assert_eq!(third.place("a", at(5, 1), 10), Place::New { skip: 3 });
        assert_eq!(third.place("b", at(9, 1), 50), Place::Known);
    }

    #[test]
    fn an_empty_batch_is_known_once_it_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), 0);
        ledger.begin("a", at(5, 1), 0, 0, 0);
        assert_eq!(ledger.place("a", at(5, 1), 0), Place::Known);
    }

    #[test]
    fn a_damaged_file_is_no_reason_not_to_run() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", r#"{"version":9,"agents":{}}"#] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(ledger(dir.path(), 0).place("a", at(1, 1), 1), NEW);
        }
    }
}
