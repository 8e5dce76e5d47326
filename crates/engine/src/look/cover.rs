//! A less-specific route that is still there. It is written down and never cancels a state.

use netfault_model::{Asn, Cover};

use crate::Engine;
use crate::table::{Row, bits};

impl Engine {
    /// `origin`: of the prefix that is lost.
    pub(super) fn cover(&self, row: Row, origin: Option<Asn>) -> Cover {
        let needed = self.settings.cover_peers;
        let seen = |row| {
            let has = self.table.has(row);
            let voters = self.peers.voters_having(has);
            bits::count(&self.peers.votes(row, has, &voters).seen) >= needed
        };
        match self.table.cover(self.table.entry(row).prefix, seen) {
            None => Cover::None,
            Some(cover) if self.table.entry(cover).origin() == origin => Cover::SameOrigin,
            Some(_) => Cover::OtherOrigin,
        }
    }
}
