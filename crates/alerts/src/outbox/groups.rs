//! Several alerts that one receiver is told as one: those of a route that have values in common (`group_by`), and
//! those that a rate cap held back (the summary). Pure.

use std::time::Duration;

use netfault_model::{Id, Time};

use crate::notice::{Group, Member, Notice, NoticeState};

/// The key of the summary of a rate cap: no route has an empty name.
pub(crate) const SUMMARY: &str = "";
/// The first summary waits so long, so that it can say a number.
pub(crate) const SUMMARY_WAIT: Duration = Duration::from_secs(5);
/// Members that are named in the text.
const NAMED: usize = 10;

pub(crate) fn is_summary(notice: &Notice) -> bool {
    notice.group.as_ref().is_some_and(|group| group.key == SUMMARY)
}

/// A new group with one member. Its id follows from the key and that member.
pub(super) fn begin(key: &str, receiver: &str, member: &Notice, at: Time) -> Notice {
    let opened_at = if key == SUMMARY { at } else { member.opened_at };
    let blank = Notice {
        opened_severity: member.severity,
        about: member.about,
        services: member.services.clone(),
        started_at: member.started_at,
        opened_at,
        version: 0,
        group: Some(Group {
            key: key.to_owned(),
            members: Vec::new(),
            size: 0,
        }),
        ..Notice::blank(
            Id::of(&["group", receiver, key, &member.id]).to_string(),
            member.at,
        )
    };
    with(&blank, member)
}

/// The group with a member's newest state.
pub(super) fn with(before: &Notice, member: &Notice) -> Notice {
    let mut notice = before.clone();
    let Some(group) = &mut notice.group else {
        return notice;
    };
    let newest = Member {
        id: member.id.clone(),
        over: member.is_over(),
        severity: member.severity,
        title: member.title.clone(),
        started_at: member.started_at,
    };
    match group.members.iter_mut().find(|one| one.id == member.id) {
        Some(one) => *one = newest,
        None => {
            group.size = group.size.saturating_add(1);
            if has_room(group) {
                group.members.push(newest);
            }
        }
    }
    notice.version = before.version.saturating_add(1);
    notice.at = member.at;
    tell(&mut notice);
    notice
}

/// What is over goes first. Where everything is open, the newest are counted and not listed.
fn has_room(group: &mut Group) -> bool {
    if group.members.len() >= Group::MAX
        && let Some(over) = group.members.iter().position(|one| one.over)
    {
        group.members.remove(over);
    }
    group.members.len() < Group::MAX
}

/// Nothing in it is open any more, as far as it is listed.
pub(super) fn is_over(notice: &Notice) -> bool {
    let group = notice.group.as_ref();
    group.is_some_and(|group| group.members.iter().all(|one| one.over))
}

pub(super) fn end(notice: &mut Notice) {
    notice.state = NoticeState::Resolved;
    notice.version = notice.version.saturating_add(1);
    tell(notice);
}

/// Severity, title and text follow from the members.
fn tell(notice: &mut Notice) {
    let Some(group) = &notice.group else { return };
    let mut open: Vec<&Member> = group.members.iter().filter(|one| !one.over).collect();
    open.sort_by_key(|it| std::cmp::Reverse(it.severity)); // stable: oldest first among equals
    let worst = open.first().copied();
    if let Some(worst) = worst {
        notice.severity = worst.severity;
    }
    let over = notice.state == NoticeState::Resolved;
    let title = title(group, open.len(), worst, over);
    let named: Vec<&str> = open.iter().take(NAMED).map(|one| one.title.as_str()).collect();
    let text = match open.len().saturating_sub(named.len()) {
        _ if over || named.len() < 2 => String::new(),
        0 => named.join(" "),
        more => format!("{} And {more} more.", named.join(" ")),
    };
    (notice.title, notice.text) = (title, text);
}

fn title(group: &Group, open: usize, worst: Option<&Member>, over: bool) -> String {
    let size = group.size;
    let alerts = if size == 1 { "alert" } else { "alerts" };
    match (group.key.as_str(), worst) {
        (SUMMARY, _) if over => format!("The {size} {alerts} that the rate cap held back are over."),
        (SUMMARY, Some(worst)) => {
            format!(
                "{size} more {alerts} suppressed by the rate cap. The worst: {}",
                worst.title
            )
        }
        (SUMMARY, None) => format!("{size} more {alerts} suppressed by the rate cap, all over."),
        (_, _) if over && size == 1 => group
            .members
            .first()
            .map_or_else(String::new, |one| one.title.clone()),
        (_, Some(worst)) if open == 1 => worst.title.clone(),
        (_, Some(worst)) => format!("{open} alerts are open. The worst: {}", worst.title),
        (_, None) => format!("All {size} {alerts} are over."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, severity: u8, over: bool) -> Notice {
        Notice {
            severity,
            title: format!("{id} is down."),
            state: if over {
                NoticeState::Resolved
            } else {
                NoticeState::Open
            },
            ..Notice::blank(id, Time::from_secs(5))
        }
    }

    #[test]
    fn a_group_says_how_many_and_the_worst() {
        let mut group = begin("r/shop", "hook", &member("a", 2, false), Time::from_secs(9));
        assert_eq!((group.title.as_str(), group.text.as_str()), ("a is down.", ""));
        group = with(&group, &member("b", 4, false));
        assert_eq!(group.title, "2 alerts are open. The worst: b is down.");
        assert_eq!(group.text, "b is down. a is down.");
        assert_eq!((group.severity, group.opened_severity, group.version), (4, 2, 2));
        group = with(&group, &member("b", 4, true));
        assert_eq!((group.title.as_str(), group.severity), ("a is down.", 2));
        assert!(!is_over(&group));
        group = with(&group, &member("a", 2, true));
        assert!(is_over(&group));
        end(&mut group);
        assert_eq!(group.title, "All 2 alerts are over.");
    }

    #[test]
    fn a_summary_counts_more_than_it_lists() {
        let mut summary = begin(SUMMARY, "hook", &member("0", 1, false), Time::from_secs(9));
        for n in 1..3_000 {
            summary = with(&summary, &member(&n.to_string(), 1, false));
        }
        let group = summary.group.as_ref().unwrap();
        assert_eq!((group.members.len(), group.size), (Group::MAX, 3_000));
        assert!(
            summary.title.starts_with("3000 more alerts suppressed"),
            "{}",
            summary.title
        );
        assert!(summary.text.ends_with("And 1990 more."), "{}", summary.text);
    }
}
