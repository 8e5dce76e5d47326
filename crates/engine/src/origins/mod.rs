//! Origins and countries as subjects: what became of all prefixes of one origin, of one country.

use netfault_model::{Output, Time};

use crate::Settings;

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Origins {}

impl Origins {
    /// When [`settle`](Self::settle) has something to do of its own accord.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// The instant `now` is over: takes what was decided in it (`decided`, sorted) and adds to it.
    pub fn settle(&mut self, _settings: &Settings, _now: Time, _decided: &mut Vec<Output>) {}
}
