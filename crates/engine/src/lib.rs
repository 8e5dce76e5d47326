//! The engine: [`Input`] in, [`Output`] out, and nothing else. It reads no clock, does no I/O and depends on
//! no hash order, so the same inputs in the same arrival order give the same outputs, live or replayed.
//!
//! The path of one input through [`Engine::push`], and the module that does it:
//!
//! 1. [`order`] holds it until everything that belongs before it has come
//! 2. `deadlines`: what falls due before it happens first, stamped with its own time
//! 3. `apply` brings it into [`peers`] (who may vote) and [`table`] (who has which prefix)
//! 4. `look` counts the votes on each prefix that changed and takes its edges ([`prefix`])
//! 5. `correlate` puts together what the instant has decided: [`origins`], [`notables`], [`incidents`]
//! 6. `feed` keeps an eye on silent peers and collectors; [`dns`] does for names what `look` does for prefixes
//!
//! All inputs of one microsecond are applied before anything is counted.

mod apply;
pub mod cause;
mod correlate;
mod deadlines;
pub mod dns;
mod feed;
mod flapping;
pub mod graph;
pub mod incidents;
mod look;
pub mod notables;
mod order;
pub mod origins;
pub mod paths;
pub mod peers;
pub mod prefix;
mod settings;
mod state;
pub mod table;
mod watchlist;

use std::collections::BTreeSet;

use netfault_model::{Arrival, Input, Output, Time, Transition, Watch};

use deadlines::Deadlines;
use feed::Alarms;
use order::Order;
use peers::Peers;
pub use settings::Settings;
pub use state::STATE_VERSION;
use table::{Row, Table};
pub use watchlist::Watchlist;

/// What was put aside, and why. None of it changed an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    pub inputs: u64,
    /// The source judged the time stamp to be wrong (more than 300 s late or 60 s early, say).
    pub quarantined: u64,
    /// Came after its window had closed; applied at the watermark.
    pub late: u64,
    /// Older than what the same session had said before; ignored.
    pub older: u64,
    /// Default routes, which do not count.
    pub default_routes: u64,
    /// Sessions beyond the 65,535 that a row has bits for.
    pub sessions_refused: u64,
}

/// Everything that is state can be saved and loaded (`state`); what comes from the configuration is not state.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Engine {
    #[serde(skip)]
    settings: Settings,
    #[serde(skip)]
    watchlist: Watchlist,
    order: Order,
    peers: Peers,
    table: Table,
    paths: paths::Paths,
    /// Of rows. Made anew when a state is loaded: each row knows its own.
    #[serde(skip)]
    deadlines: Deadlines,
    alarms: Alarms,
    names: dns::Names,
    origins: origins::Origins,
    notables: notables::Notables,
    graph: graph::Graph,
    hints: cause::Hints,
    monitor: cause::Monitor,
    incidents: incidents::Incidents,
    now: Time,
    /// Rows to look at, at the end of this instant.
    touched: Vec<Row>,
    /// Rows that a table dump filled, to be looked at from `seeded_at` on.
    seeded: Vec<Row>,
    seeded_at: Time,
    /// Rows that a change of a session can move: not Normal, watched, or waiting for a quorum.
    active: BTreeSet<Row>,
    /// A session changed: look at all of `active`.
    sessions_changed: bool,
    /// Something happened in the present instant that was not put together yet.
    unsettled: bool,
    /// Outputs of the present instant.
    pending: Vec<Output>,
    named: Vec<Transition>,
    stats: Stats,
}

impl Engine {
    pub fn new(settings: Settings, dns: dns::DnsSettings, watch: Watch) -> Self {
        Engine {
            order: Order::new(settings.window_ms.min(3_600_000) as i64 * 1000),
            notables: notables::Notables::new(&settings),
            origins: origins::Origins::new(&settings, &watch),
            graph: graph::Graph::new(&watch),
            hints: cause::Hints::new(&watch),
            monitor: Default::default(),
            watchlist: Watchlist::new(watch),
            settings,
            peers: Peers::default(),
            table: Table::default(),
            paths: paths::Paths::default(),
            deadlines: Deadlines::default(),
            alarms: Alarms::default(),
            names: dns::Names::new(dns),
            incidents: Default::default(),
            now: Time::MIN,
            touched: Vec::new(),
            seeded: Vec::new(),
            seeded_at: Time::MIN,
            active: BTreeSet::new(),
            sessions_changed: false,
            unsettled: false,
            pending: Vec::new(),
            named: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// Knows which country a prefix is of, so that countries are subjects too. Of a new engine, or of one resumed.
    pub fn with_countries(mut self, countries: std::sync::Arc<origins::Countries>) -> Self {
        let table = &self.table;
        self.origins
            .set_countries(countries.clone(), |row| table.entry(row).prefix);
        self.incidents.set_countries(countries);
        self
    }

    /// Takes one input, and appends to `out` what is settled by it, ordered by (at, kind, subject).
    pub fn push(&mut self, input: Input, out: &mut Vec<Output>) {
        self.stats.inputs += 1;
        // Before its time is looked at: a wrong clock elsewhere must not move ours.
        if arrival(&input) != Arrival::InTime {
            self.stats.quarantined += 1;
            return;
        }
        let at = input.at();
        self.order.observe(at);
        let watermark = self.order.watermark();
        self.run(watermark, out);
        match input {
            // A table dump is a million routes of one moment: they are not held back, only looked at later.
            Input::Rib(route) => self.seed(&route),
            input if at < watermark => {
                self.stats.late += 1;
                self.order.hold(input, watermark);
            }
            input => self.order.hold(input, at),
        }
    }

    /// The input has ended: settles what is held. Time stops at the last input, or runs on to `until`.
    pub fn finish(&mut self, until: Option<Time>, out: &mut Vec<Output>) {
        if let Some(until) = until {
            self.order.observe(until);
        }
        self.run(self.order.newest().plus_micros(1), out);
        self.correlate();
        self.publish(out);
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Engine time: the moment of the last thing that was settled.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Collectors that were ever heard.
    pub fn collectors(&self) -> impl Iterator<Item = netfault_model::Collector> + '_ {
        self.peers.collectors.keys().copied()
    }

    /// Rows in the route table, and sessions.
    pub fn size(&self) -> (usize, usize) {
        (self.table.count(), self.peers.count())
    }

    /// Deadlines of rows that are waiting.
    pub fn deadlines(&self) -> usize {
        self.deadlines.count()
    }

    /// Settles everything strictly before `limit`, in order of time; deadlines first where times are equal.
    fn run(&mut self, limit: Time, out: &mut Vec<Output>) {
        loop {
            let input = self.order.next().filter(|&at| at < limit);
            let bound = input.unwrap_or(limit.plus_micros(-1));
            let due = [
                self.deadlines.peek(bound),
                self.alarms.next(),
                self.names.next_deadline(),
                self.correlation_due(),
            ];
            let due = due.into_iter().flatten().min().filter(|&due| due <= bound);
            let at = due.or(input);
            if self.unsettled && at.is_none_or(|at| at > self.now) {
                // The instant is over. What it means may have a deadline before the next one.
                self.correlate();
                self.publish(out);
                self.unsettled = false;
                continue;
            }
            let Some(at) = at else { return };
            self.advance(at);
            self.unsettled = true;
            match due {
                Some(_) => self.fire(),
                None => self.apply_instant(limit),
            }
            self.look_at_touched();
        }
    }

    fn advance(&mut self, at: Time) {
        self.now = self.now.max(at);
        self.paths.advance(self.now);
        if self.seeded_at <= self.now {
            self.touched.append(&mut self.seeded);
        }
    }

    /// All deadlines of this moment.
    fn fire(&mut self) {
        while let Some((due, row)) = self.deadlines.pop(self.now) {
            let entry = self.table.entry_mut(row);
            let Some(marks) = &mut entry.marks else { continue };
            if marks.due == Some(due) {
                marks.due = None;
                if !entry.touched {
                    entry.touched = true;
                    self.touched.push(row);
                }
            }
        }
        self.fire_alarms();
        self.names.fire(self.now, &mut self.named);
        self.pending
            .extend(self.named.drain(..).map(|it| Output::Transition(Box::new(it))));
    }

    fn apply_instant(&mut self, limit: Time) {
        let Some(mut instant) = self.order.release(limit) else {
            return;
        };
        for input in instant.inputs.drain(..) {
            self.apply(input);
        }
        self.order.recycle(instant.inputs);
    }

    fn look_at_touched(&mut self) {
        if std::mem::take(&mut self.sessions_changed) {
            let active: Vec<Row> = self.active.iter().copied().collect();
            active.into_iter().for_each(|row| self.touch(row));
        }
        let mut touched = std::mem::take(&mut self.touched);
        for row in touched.drain(..) {
            self.look(row);
        }
        self.touched = touched;
    }

    fn touch(&mut self, row: Row) {
        let entry = self.table.entry_mut(row);
        if !entry.touched {
            entry.touched = true;
            self.touched.push(row);
        }
    }

    fn publish(&mut self, out: &mut Vec<Output>) {
        self.sort_pending();
        out.append(&mut self.pending);
    }
}

/// The source's verdict on the time stamp.
fn arrival(input: &Input) -> Arrival {
    match input {
        Input::Update(update) => update.arrival,
        Input::Probe(probe) => probe.arrival,
        Input::Hint(hint) => hint.arrival,
        _ => Arrival::InTime,
    }
}
