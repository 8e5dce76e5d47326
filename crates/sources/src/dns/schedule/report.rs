//! What goes to the pipeline, and what is said of the rest.

use std::borrow::Cow;
use std::time::Duration;

use netfault_model::{Gap, GapSource, Input, Time};

use super::jobs::Job;
use super::scheduler::Scheduler;

/// Inputs that wait for the pipeline. Some seconds of the largest plan; what is beyond is dropped and counted.
const MAX_BUFFERED: usize = 20_000;

impl Scheduler {
    pub fn skip(&mut self, why: &'static str) {
        self.counters.skipped += 1;
        *self.skipped.entry(why).or_default() += 1;
    }

    pub fn hand_on(&mut self, input: Input) {
        if self.output.len() < MAX_BUFFERED {
            self.output.push(input);
        } else {
            self.skip("the pipeline takes no more");
        }
    }

    /// One gap for each reason, once an interval.
    pub fn report(&mut self, now: Duration) {
        self.jobs.add(now + self.plan.interval, Job::Report);
        let (from, to) = (self.reported, (self.clock)());
        self.reported = to;
        for (why, lost) in std::mem::take(&mut self.skipped) {
            tracing::warn!(lost, why, "questions not asked");
            self.gap(Cow::Borrowed(why), from, to, Some(lost));
        }
    }

    /// For some time nobody was asked.
    pub fn stood_still(&mut self, stood: Duration) {
        let to = (self.clock)();
        let seconds = stood.as_secs_f64();
        tracing::warn!(
            seconds,
            "the probe host stood still; the schedule goes on where it was"
        );
        self.counters.stood_still += 1;
        let from = to - stood;
        self.gap(Cow::Borrowed("the probe host stood still"), from, to, None);
    }

    fn gap(&mut self, reason: Cow<'static, str>, from: Time, to: Time, lost: Option<u64>) {
        self.output.push(Input::Gap(Box::new(Gap {
            at: to,
            source: GapSource::Dns,
            collector: None,
            peer: None,
            from: Some(from),
            to: Some(to),
            offset: None,
            reason,
            lost,
        })));
    }
}
