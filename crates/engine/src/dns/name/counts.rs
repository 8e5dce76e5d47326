//! What all vantages together see of a name: the counts behind its state, and the evidence.

use netfault_model::{CacheView, NameEvidence, State, Time, VantageView};

use super::{Context, Name};
use crate::dns::health::{Authorities, Level, Resolvers, level, upper_median};
use crate::dns::server::Report;

/// Caches listed in one transition; a name is asked at a handful of resolvers.
const MAX_CACHES: usize = 64;

/// The counts over all vantages.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    /// Decides falls: what a lost vantage saw after the present failure began still counts.
    pub falls: Option<Authorities>,
    /// Decides rises: the last word of a vantage that was lost an hour ago still counts.
    pub rises: Option<Authorities>,
    pub resolvers: Resolvers,
    pub level: Level,
}

impl Counts {
    pub fn h_up(&self) -> f64 {
        self.rises.map_or(0.0, Authorities::h_up)
    }
}

impl Name {
    pub(super) fn counts(&self, now: Time, cx: Context) -> Counts {
        let (mut falls, mut lost) = (Vec::new(), Vec::new());
        let (mut down_since, mut failed_since) = (None, None);
        for (view, sight) in self.sights(now, cx) {
            failed_since = failed_since.max(view.resolvers_failed_since(sight));
            match view.authorities(sight) {
                Some(counts) => {
                    down_since = down_since.max(view.down_since(sight));
                    falls.push(counts);
                }
                None => lost.extend(view.word.map(|word| (word, view.good_at()))),
            }
        }
        let sighted = falls.iter().any(|counts| counts.eligible > 0);
        let mut rises = falls.clone();
        if sighted {
            let since = now - cx.settings.vantage_word();
            rises.extend(
                lost.iter()
                    .filter(|(word, _)| word.at >= since)
                    .map(|(word, _)| word.authorities),
            );
            let witness = |good: &Option<Time>| down_since.is_some() && *good >= down_since;
            falls.extend(
                lost.iter()
                    .filter(|(_, good)| witness(good))
                    .map(|(word, _)| word.authorities),
            );
        }
        for views in [&mut falls, &mut rises] {
            views.retain(|counts| counts.eligible > 0);
        }
        let mut resolvers = Resolvers::default();
        for (view, sight) in self.sights(now, cx) {
            view.add_resolvers(sight, failed_since, &mut resolvers);
        }
        let falls = upper_median(falls, Authorities::h_down);
        // Servers that were seen before and are seen from nowhere now: nothing can be said in their stead.
        let unseen = falls.is_none() && self.views.values().any(|view| view.good_at().is_some());
        Counts {
            falls,
            rises: upper_median(rises, Authorities::h_up),
            resolvers,
            level: if unseen {
                Level::Blind
            } else {
                level(falls, resolvers, self.had_record, cx.settings)
            },
        }
    }

    /// What each vantage and each cache says.
    pub(in crate::dns) fn seen(&self, to: State, now: Time, cx: Context) -> NameEvidence {
        let (mut vantages, mut caches) = (Vec::new(), Vec::new());
        for (vantage, view) in &self.views {
            let Some(sight) = self.sight(now, vantage, cx) else {
                continue;
            };
            let sees = view.authorities(sight);
            let counts = sees
                .or(view.word.map(|word| word.authorities))
                .unwrap_or_default();
            vantages.push(VantageView {
                vantage: vantage.to_string(),
                sighted: sees.is_some(),
                servers_ok: counts.not_down,
                servers_eligible: counts.eligible,
            });
            caches.extend(view.resolvers.servers.iter().map(|(resolver, server)| CacheView {
                vantage: vantage.to_string(),
                resolver: *resolver,
                good: server.last == Report::Good,
                stale: server.stale_rounds > 0,
                until: server.until(),
            }));
        }
        let failing = !matches!(to, State::Ok | State::Unknown);
        let masked_until = caches.iter().filter_map(|cache| cache.until).max();
        caches.truncate(MAX_CACHES);
        NameEvidence {
            masked_until: masked_until.filter(|_| failing),
            vantages,
            caches,
        }
    }
}
