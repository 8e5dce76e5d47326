//! Which receiver is told of which alert, and how. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::matcher::{Key, Matcher, Quantifier};
use crate::notice::{About, Notice};

/// What alerts of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupBy {
    Service,
    Subject,
    Cause,
    Severity,
    /// All of the route.
    Route,
}

impl GroupBy {
    pub const ALL: [GroupBy; 5] = [
        GroupBy::Service,
        GroupBy::Subject,
        GroupBy::Cause,
        GroupBy::Severity,
        GroupBy::Route,
    ];

    pub fn name(self) -> &'static str {
        match self {
            GroupBy::Service => "service",
            GroupBy::Subject => "subject",
            GroupBy::Cause => "cause",
            GroupBy::Severity => "severity",
            GroupBy::Route => "route",
        }
    }

    fn value(self, notice: &Notice) -> String {
        match self {
            GroupBy::Service => notice.services.join(","),
            GroupBy::Subject => {
                let subject = notice.subject.as_ref();
                subject.map_or("", |subject| subject.key().0).to_owned()
            }
            GroupBy::Cause => notice.cause().unwrap_or_default().to_owned(),
            GroupBy::Severity => notice.first_severity().to_string(),
            GroupBy::Route => String::new(),
        }
    }
}

/// One line of the configuration. The first that matches decides, unless it says `continue`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub name: String,
    /// Without `about` it takes alerts about targets only.
    pub matcher: Matcher,
    pub receivers: Vec<String>,
    /// Empty: each incident is an alert of its own.
    pub group_by: Vec<GroupBy>,
    /// From the opening of an alert to its first message: what is over by then is never told.
    pub wait: Duration,
    /// `None`: an open alert is told once.
    pub repeat: Option<Duration>,
    /// `None`: as the receiver likes it (those that can change what they showed, yes; others, no).
    pub updates: Option<bool>,
    /// Later routes are asked, too.
    pub goes_on: bool,
}

/// How one receiver is told of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub wait: Duration,
    pub repeat: Option<Duration>,
    pub updates: Option<bool>,
    /// Which group it belongs to.
    pub group: Option<String>,
}

impl Plan {
    /// Told once, at once.
    pub(crate) const PLAIN: Plan = Plan {
        wait: Duration::ZERO,
        repeat: None,
        updates: None,
        group: None,
    };
}

/// All routes. Without any, every receiver is told of everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    pub routes: Vec<Route>,
}

impl Routing {
    /// `None`: `receiver` is not told of it.
    pub fn plan(&self, receiver: &str, notice: &Notice) -> Option<Plan> {
        if self.takes_by_default(notice) {
            return Some(Plan::PLAIN);
        }
        for route in self.routes.iter().filter(|route| route.takes(notice)) {
            if route.receivers.iter().any(|name| name == receiver) {
                return Some(route.plan(notice));
            }
            if !route.goes_on {
                return None;
            }
        }
        None
    }

    /// How a group is told: as its route says today, or plainly where that route is gone.
    pub(crate) fn plan_of_group(&self, key: &str) -> Plan {
        let name = key.split('/').next().unwrap_or_default();
        let route = self.routes.iter().find(|route| route.name == name);
        route.map_or(Plan::PLAIN, |route| Plan {
            wait: route.wait,
            repeat: route.repeat,
            updates: route.updates,
            group: Some(key.to_owned()),
        })
    }

    /// Without routes, everything; without a route about ourselves, what is about ourselves: silence about a blind
    /// monitor is what nobody wants.
    fn takes_by_default(&self, notice: &Notice) -> bool {
        self.routes.is_empty() || (notice.about == About::Ourselves && !self.has_own_route())
    }

    fn has_own_route(&self) -> bool {
        self.routes.iter().any(|route| {
            route
                .matcher
                .values(Key::About)
                .any(|value| value == About::Ourselves.name())
        })
    }

    /// Receivers that no route names.
    pub fn unused<'a>(&self, receivers: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        if self.routes.is_empty() {
            return Vec::new();
        }
        let used: BTreeSet<&str> = self
            .routes
            .iter()
            .flat_map(|route| route.receivers.iter().map(String::as_str))
            .collect();
        receivers
            .into_iter()
            .filter(|name| !used.contains(name))
            .collect()
    }

    /// True if an alert about a target may match no route.
    pub fn has_holes(&self) -> bool {
        let takes_all = |route: &Route| {
            let mut texts = route.matcher.texts();
            texts.all(|text| text == "about=target" || text == "severity=1")
        };
        !self.routes.is_empty() && !self.routes.iter().any(takes_all)
    }
}

impl Route {
    fn takes(&self, notice: &Notice) -> bool {
        let is_meant = self.matcher.has(Key::About) || notice.about == About::Target;
        is_meant && self.matcher.matches(notice, Quantifier::Any)
    }

    fn plan(&self, notice: &Notice) -> Plan {
        let values: Vec<String> = self.group_by.iter().map(|by| by.value(notice)).collect();
        Plan {
            wait: self.wait,
            repeat: self.repeat,
            updates: self.updates,
            group: (!values.is_empty()).then(|| format!("{}/{}", self.name, values.join("/"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfault_model::Time;

    fn route(name: &str, matcher: &str, goes_on: bool) -> Route {
        Route {
            name: name.into(),
            matcher: matcher.parse().unwrap(),
            receivers: vec![name.into()],
            group_by: Vec::new(),
            wait: Duration::ZERO,
            repeat: None,
            updates: None,
            goes_on,
        }
    }

    fn told(routing: &Routing, severity: u8, about: About) -> Vec<&'static str> {
        let notice = Notice {
            severity,
            about,
            ..Notice::blank("a", Time::from_secs(1))
        };
        let receivers = ["page", "log", "chat", "ops"];
        receivers
            .into_iter()
            .filter(|receiver| routing.plan(receiver, &notice).is_some())
            .collect()
    }

    #[test]
    fn the_first_route_that_matches_decides_unless_it_goes_on() {
        let mut routing = Routing {
            routes: vec![
                route("log", "", true),
                route("page", "severity=4", false),
                route("chat", "severity=2", false),
            ],
        };
        use About::{Ourselves, Target};
        assert_eq!(told(&routing, 5, Target), ["page", "log"]);
        assert_eq!(told(&routing, 3, Target), ["log", "chat"]);
        assert_eq!(told(&routing, 1, Target), ["log"]);
        // Nobody said where alerts about ourselves go: everywhere.
        assert_eq!(told(&routing, 1, Ourselves), ["page", "log", "chat", "ops"]);
        routing.routes.push(route("ops", "about=self", false));
        assert_eq!(told(&routing, 1, Ourselves), ["ops"]);
        assert_eq!(told(&routing, 1, Target), ["log"]);
        assert!(!routing.has_holes());
    }

    #[test]
    fn without_routes_everybody_is_told_of_everything() {
        let routing = Routing::default();
        assert_eq!(told(&routing, 1, About::Target).len(), 4);
        assert_eq!(told(&routing, 1, About::Ourselves).len(), 4);
    }

    #[test]
    fn a_route_with_conditions_leaves_a_hole() {
        let mut routing = Routing {
            routes: vec![route("page", "severity=4", false)],
        };
        assert!(routing.has_holes());
        assert_eq!(told(&routing, 3, About::Target), Vec::<&str>::new());
        assert_eq!(routing.unused(["page", "log"]), ["log"]);
        routing.routes.push(route("log", "about=target", false));
        assert!(!routing.has_holes());
    }
}
