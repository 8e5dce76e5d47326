//! What is wrong with netfault → notices that open, change and resolve like those of incidents. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use netfault_model::{Id, Time};

use crate::health::Trouble;
use crate::notice::{About, Notice, NoticeState};

/// Troubles that are told and not over, by key.
#[derive(Debug, Default)]
pub(crate) struct Ourselves {
    open: BTreeMap<String, Notice>,
    /// What an earlier run told is over only once this run has had time to see it again.
    not_before: Option<Time>,
}

/// Longer than a feed may be silent before it is missed.
const GRACE: Duration = Duration::from_secs(300);

impl Ourselves {
    /// Takes up what an earlier run told.
    pub(crate) fn adopt(&mut self, notice: &Notice, now: Time) {
        if let Some(key) = &notice.trouble
            && !notice.is_over()
        {
            self.not_before = Some(now + GRACE);
            self.open.insert(key.clone(), notice.clone());
        }
    }

    /// What is to be told now that `troubles` are all there are.
    pub(crate) fn step(&mut self, troubles: &[Trouble], now: Time) -> Vec<Notice> {
        let mut told = Vec::new();
        for trouble in troubles.iter().filter(|trouble| trouble.severity > 0) {
            let before = self.open.get(&trouble.key);
            let Some(notice) = next(trouble, before, now) else {
                continue;
            };
            self.open.insert(trouble.key.clone(), notice.clone());
            told.push(notice);
        }
        if self.not_before.is_some_and(|at| now < at) {
            return told;
        }
        let is_over = |key: &String| !troubles.iter().any(|trouble| trouble.key == *key);
        let over: Vec<String> = self.open.keys().filter(|key| is_over(key)).cloned().collect();
        told.extend(
            over.iter()
                .filter_map(|key| self.open.remove(key))
                .map(|notice| ended(notice, now)),
        );
        told
    }
}

fn next(trouble: &Trouble, before: Option<&Notice>, now: Time) -> Option<Notice> {
    let opened = || {
        let id = Id::of(&["trouble", &trouble.key, &trouble.since.to_string()]);
        Notice {
            about: About::Ourselves,
            severity: trouble.severity,
            opened_severity: trouble.severity,
            title: trouble.title.clone(),
            started_at: trouble.since,
            trouble: Some(trouble.key.clone()),
            ..Notice::blank(id.to_string(), now)
        }
    };
    let Some(before) = before else {
        return Some(opened());
    };
    // Titles count seconds; a change of those alone is no news.
    (before.severity != trouble.severity).then(|| Notice {
        state: NoticeState::Update,
        version: before.version.saturating_add(1),
        severity: trouble.severity,
        title: trouble.title.clone(),
        at: now,
        ..before.clone()
    })
}

fn ended(notice: Notice, now: Time) -> Notice {
    let lasted = match now.since(notice.started_at) / 1_000_000 {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    };
    Notice {
        state: NoticeState::Resolved,
        version: notice.version.saturating_add(1),
        title: format!("It is over after {lasted}. {}", notice.title),
        at: now,
        ..notice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(secs)
    }

    fn trouble(key: &str, severity: u8) -> Trouble {
        Trouble {
            key: key.into(),
            severity,
            title: format!("{key} is wrong."),
            since: at(5),
            stale: true,
        }
    }

    fn said(notices: &[Notice]) -> Vec<(&str, NoticeState)> {
        notices
            .iter()
            .map(|notice| (notice.trouble.as_deref().unwrap_or_default(), notice.state))
            .collect()
    }

    #[test]
    fn a_trouble_opens_changes_and_ends() {
        let mut ours = Ourselves::default();
        let opened = ours.step(&[trouble("store", 3), trouble("pipeline", 0)], at(60));
        assert_eq!(said(&opened), [("store", NoticeState::Open)]);
        assert_eq!(ours.step(&[trouble("store", 3)], at(61)), []);
        assert_eq!(
            said(&ours.step(&[trouble("store", 4)], at(62))),
            [("store", NoticeState::Update)]
        );
        let ended = ours.step(&[], at(125));
        assert_eq!(said(&ended), [("store", NoticeState::Resolved)]);
        assert_eq!(ended[0].id, opened[0].id);
        assert_eq!(ended[0].title, "It is over after 2 min. store is wrong.");
    }

    #[test]
    fn a_restart_ends_nothing_before_it_has_looked() {
        let mut before = Ourselves::default();
        let told = before.step(&[trouble("store", 3)], at(60));
        let mut ours = Ourselves::default();
        ours.adopt(&told[0], at(100));
        assert_eq!(ours.step(&[], at(101)), []);
        assert_eq!(
            ours.step(&[trouble("store", 3)], at(200)),
            [],
            "it is the same one"
        );
        assert_eq!(said(&ours.step(&[], at(400))), [("store", NoticeState::Resolved)]);
    }
}
