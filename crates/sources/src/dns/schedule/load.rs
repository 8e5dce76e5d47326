//! How much the plan asks of each server.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Questions in each interval, by server.
#[derive(Debug, Default)]
pub(super) struct Load {
    questions: BTreeMap<SocketAddr, u32>,
}

impl Load {
    pub fn add(&mut self, server: SocketAddr, questions: u32) {
        *self.questions.entry(server).or_default() += questions;
    }

    pub fn remove(&mut self, server: SocketAddr, questions: u32) {
        if let Some(sum) = self.questions.get_mut(&server) {
            *sum = sum.saturating_sub(questions);
            if *sum == 0 {
                self.questions.remove(&server);
            }
        }
    }

    /// Questions in each interval that this server is asked, without retries.
    pub fn of(&self, server: &SocketAddr) -> u32 {
        self.questions.get(server).copied().unwrap_or_default()
    }
}
