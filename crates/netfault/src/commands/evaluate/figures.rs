//! The numbers of one group of events.

/// What was counted for one group. `None`: does not apply to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub events: u64,
    pub found: u64,
    /// … of them with a held baseline.
    pub found_held: Option<u64>,
    /// Events that were told more than once.
    pub repeated: u64,
    /// Statements that were held against a complete record …
    pub judged: Option<u64>,
    /// … and are not in it.
    pub unconfirmed: u64,
    /// Out, where it is stamped minus where it belongs. Seconds, like all below.
    pub out_error: Spread,
    pub back_error: Spread,
    pub came_back: u64,
    pub told_back: u64,
    /// From the fifth peer AS that lost it to Degrading; not of relapses, which have none.
    pub degrading_delay: Spread,
    pub delay: Spread,
    /// Incidents, summed over events.
    pub incidents: Option<u64>,
    /// Events that no incident tells of.
    pub untold: Option<u64>,
    /// Times that a prefix went out again within one event.
    pub flaps: u64,
    /// Time that prefixes spent in Unknown during the events.
    pub unknown_s: f64,
}

impl Figures {
    pub fn missed(&self) -> u64 {
        self.events.saturating_sub(self.found)
    }

    pub fn recall(&self) -> Option<f64> {
        share(self.found, self.events)
    }

    pub fn precision(&self) -> Option<f64> {
        let judged = self.judged?;
        share(judged.saturating_sub(self.unconfirmed), judged)
    }

    pub fn recovered(&self) -> Option<f64> {
        share(self.told_back, self.came_back)
    }

    pub fn incidents_per_event(&self) -> Option<f64> {
        share(self.incidents?, self.events)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Differences in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread(pub Vec<f64>);

impl Spread {
    pub fn add(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    /// The mean of the two in the middle if they are even in number.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            n if n % 2 == 1 => Some(sorted[middle]),
            _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        }
    }

    /// The greatest in either direction, without its sign.
    pub fn worst(&self) -> Option<f64> {
        self.0.iter().map(|seconds| seconds.abs()).max_by(f64::total_cmp)
    }

    pub fn greatest(&self) -> Option<f64> {
        self.0.iter().copied().max_by(f64::total_cmp)
    }

    /// Share of them that are at most so far off.
    pub fn within(&self, seconds: f64) -> Option<f64> {
        let near = self.0.iter().filter(|off| off.abs() <= seconds).count();
        share(near as u64, self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let spread = Spread(vec![3.0, -7.0, 1.0, 0.0]);
        assert_eq!(spread.median(), Some(0.5));
        assert_eq!((spread.worst(), spread.greatest()), (Some(7.0), Some(3.0)));
        assert_eq!(spread.within(1.0), Some(0.5));
        assert_eq!(Spread::default().median(), None);
        assert_eq!(Spread(vec![2.0]).median(), Some(2.0));
    }

    #[test]
    fn what_never_happened_has_no_share() {
        let none = Figures::default();
        assert_eq!(
            (none.recall(), none.precision(), none.recovered()),
            (None, None, None)
        );
        let wrong = Figures {
            judged: Some(4),
            unconfirmed: 1,
            ..Figures::default()
        };
        assert_eq!(wrong.precision(), Some(0.75));
    }
}
