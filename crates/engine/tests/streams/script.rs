//! A stream written down second by second.

use netfault_model::{Family, Gap, GapSource, Input, PeerState, SessionState, Time, Transition};

use super::{PEERS, peer, play, transitions, update};

/// When scripts begin.
pub const START: i64 = 1_000_000_000;

#[derive(Clone, Default)]
pub struct Script {
    inputs: Vec<Input>,
}

impl Script {
    /// All peers announce all prefixes; by second 100 they have held them for long enough.
    pub fn learned() -> Self {
        let mut script = Script::default();
        for what in 0..4 {
            script.all(0, 0..PEERS, what, true);
        }
        script
    }

    /// `who` announces or withdraws prefix number `what`, `second` seconds after the start.
    pub fn say(&mut self, second: i64, who: usize, what: usize, announce: bool) -> &mut Self {
        self.inputs.push(update(micros(second), who, what, announce));
        self
    }

    pub fn all(
        &mut self,
        second: i64,
        who: impl IntoIterator<Item = usize>,
        what: usize,
        announce: bool,
    ) -> &mut Self {
        for who in who {
            self.say(second, who, what, announce);
        }
        self
    }

    pub fn session(&mut self, second: i64, who: usize, state: SessionState) -> &mut Self {
        let at = Time::from_micros(micros(second));
        let peer = peer(who);
        self.inputs.push(Input::Peer(PeerState { at, peer, state }));
        self
    }

    pub fn end_of_rib(&mut self, second: i64, who: usize, family: Family) -> &mut Self {
        let at = Time::from_micros(micros(second));
        let peer = peer(who);
        self.inputs.push(Input::EndOfRib { at, peer, family });
        self
    }

    /// Twenty minutes are missing, told at `second`; of which collector is not known.
    pub fn gap(&mut self, second: i64, source: GapSource) -> &mut Self {
        let at = Time::from_micros(micros(second));
        self.inputs.push(Input::Gap(Box::new(Gap {
            at,
            source,
            collector: None,
            peer: None,
            from: Some(at.plus_micros(-1_200_000_000)),
            to: Some(at),
            offset: None,
            reason: "not running".into(),
            lost: None,
        })));
        self
    }

    /// Every 5 s these peers announce prefix 2 again, so that neither they nor their collectors are silent.
    pub fn alive(
        &mut self,
        seconds: std::ops::Range<i64>,
        who: impl IntoIterator<Item = usize> + Clone,
    ) -> &mut Self {
        for second in seconds.step_by(5) {
            self.all(second, who.clone(), 2, true);
        }
        self
    }

    /// The stream in order of time, until `second`.
    pub fn inputs(&self, second: i64) -> Vec<Input> {
        let mut inputs = self.inputs.clone();
        inputs.push(Input::Tick(Time::from_micros(micros(second))));
        inputs.sort_by_key(Input::at);
        inputs
    }

    /// What is said of prefix number `what` from second `from` on.
    pub fn told(&self, until: i64, what: usize, from: i64) -> Vec<Transition> {
        let told = transitions(play(&self.inputs(until)));
        let of_prefix = told
            .into_iter()
            .filter(|t| super::prefix_of(t) == super::prefix(what));
        of_prefix.filter(|t| t.at.micros() >= micros(from)).collect()
    }
}

fn micros(second: i64) -> i64 {
    (START + second) * 1_000_000
}
