//! How bad it is, from 1 to 5, and which of several states is the worst.
//!
//! | part | Out | Degrading, Partial, Recovering |
//! |---|---|---|
//! | country | 5 | 4 |
//! | another origin announces a watched prefix | – | 4 |
//! | name (all of them are watched) | 5 | 4; 3 if Partial: most of its servers answer |
//! | origin of 256 /24s or more | 4 | 3 |
//! | origin | 3 | 2 |
//! | prefix | 2 | 1 |
//!
//! An incident is as severe as its worst part is now; when it is over, as it was at its worst.

use netfault_model::State;
use serde::{Deserialize, Serialize};

/// What a part is, as far as severity is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    Prefix,
    Origin,
    BigOrigin,
    Name,
    Country,
    /// Another origin announces it: it may be hijacked, and is not down.
    Change,
}

pub const CLASSES: [Class; 6] = [
    Class::Prefix,
    Class::Origin,
    Class::BigOrigin,
    Class::Name,
    Class::Country,
    Class::Change,
];
pub const STATES: [State; 9] = [
    State::Unknown,
    State::Normal,
    State::Degrading,
    State::Partial,
    State::Out,
    State::Recovering,
    State::Gone,
    State::Ok,
    State::Degraded,
];

/// 0: it has no part in it any more.
pub fn severity(class: Class, state: State) -> u8 {
    let out = match class {
        Class::Country | Class::Name | Class::Change => 5,
        Class::BigOrigin => 4,
        Class::Origin => 3,
        Class::Prefix => 2,
    };
    match state {
        State::Out => out,
        State::Partial if class == Class::Name => out - 2,
        State::Degrading | State::Partial | State::Degraded | State::Recovering => out - 1,
        State::Normal | State::Ok | State::Gone | State::Unknown => 0,
    }
}

/// The higher, the worse.
pub fn rank(state: State) -> u8 {
    match state {
        State::Normal | State::Ok | State::Gone => 0,
        State::Unknown => 1,
        State::Degrading => 2,
        State::Recovering => 3,
        State::Partial => 4,
        State::Degraded => 5,
        State::Out => 6,
    }
}

/// Nothing is wrong with it any more, or its loss is accepted.
pub fn is_settled(state: State) -> bool {
    rank(state) == 0
}

/// It is partly or wholly gone.
pub fn is_down(state: State) -> bool {
    matches!(state, State::Partial | State::Degraded | State::Out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_of_each_class_and_state() {
        use State::{Degraded, Degrading, Gone, Normal, Out, Partial, Recovering};
        for (class, expected) in [
            (Class::Country, [5, 4, 4, 4, 4]),
            (Class::Name, [5, 4, 3, 4, 4]),
            (Class::BigOrigin, [4, 3, 3, 3, 3]),
            (Class::Origin, [3, 2, 2, 2, 2]),
            (Class::Prefix, [2, 1, 1, 1, 1]),
        ] {
            let found = [Out, Degrading, Partial, Recovering, Degraded].map(|state| severity(class, state));
            assert_eq!(found, expected, "{class:?}");
            assert_eq!([Normal, Gone].map(|state| severity(class, state)), [0, 0]);
        }
    }

    #[test]
    fn states_stand_at_their_own_number() {
        for (index, state) in STATES.into_iter().enumerate() {
            assert_eq!(state as usize, index);
        }
    }
}
