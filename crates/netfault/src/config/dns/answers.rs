//! What a name is expected to answer (`expect`), and who is asked for it (`resolvers`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;

use netfault_model::Asn;
use netfault_sources::dns::expect::Expectation;
use netfault_sources::dns::resolver::{BadResolver, Resolver};
use serde_saphyr::{Location, Spanned};

use super::super::raw::{RawExpect, Text, text};
use super::super::resolve::{Context, Result};
use super::super::secrets::escape;
use super::super::types::{Expect, Name};

/// One address may be asked in one way only: in the data a resolver is its address.
pub(in crate::config) fn resolvers(context: &Context, typed: Option<&Vec<Text>>) -> Result<Vec<Resolver>> {
    let mut seen: BTreeMap<SocketAddr, Resolver> = BTreeMap::new();
    let mut resolvers = Vec::new();
    for text in typed.into_iter().flatten() {
        let resolver = context.read(text, |text| {
            let resolver: Resolver = text.parse().map_err(|bad: BadResolver| bad.to_string())?;
            match seen.get(&resolver.addr) {
                Some(other) if *other == resolver => {
                    Err(format!("the resolver {resolver} stands here a second time"))
                }
                Some(other) => Err(format!(
                    "{resolver} stands elsewhere as {other}: one address is asked in one way"
                )),
                None => Ok(resolver),
            }
        })?;
        seen.insert(resolver.addr, resolver.clone());
        resolvers.push(resolver);
    }
    Ok(resolvers)
}

/// The same over all names: two of them may name the same resolver, but not in two ways.
pub(in crate::config) fn settle(
    context: &Context,
    names: &[(Location, Name)],
    of_all: &[Resolver],
) -> Result<()> {
    let mut seen: BTreeMap<SocketAddr, &Resolver> = of_all.iter().map(|it| (it.addr, it)).collect();
    for (place, name) in names {
        for resolver in &name.resolvers {
            let first = *seen.entry(resolver.addr).or_insert(resolver);
            if first != resolver {
                let message =
                    format!("{resolver} stands elsewhere as {first}: one address is asked in one way");
                return context.wrong(*place, message);
            }
        }
    }
    Ok(())
}

pub(in crate::config) fn expect(context: &Context, raw: Option<Spanned<RawExpect>>) -> Result<Expect> {
    let Some(Spanned {
        value: raw,
        referenced: place,
        ..
    }) = raw
    else {
        return Ok(Expect::default());
    };
    let expect = Expect {
        answers: Expectation {
            any_of: parsed(context, raw.any_of.as_ref(), "value")?,
            all_of: parsed(context, raw.all_of.as_ref(), "value")?,
            within: parsed(context, raw.within.as_ref(), "prefix")?,
            min_count: raw.min_count,
            not_bogon: raw.not_bogon.unwrap_or(false),
        },
        origins: parsed::<Asn>(context, raw.origin.as_ref(), "AS number")?
            .into_iter()
            .collect(),
    };
    if expect == Expect::default() {
        let message = "nothing is expected here: give any_of, all_of, within, origin, min_count or not_bogon";
        return context.wrong(place, message);
    }
    Ok(expect)
}

fn parsed<T: std::str::FromStr<Err: Display>>(
    context: &Context,
    typed: Option<&Vec<Text>>,
    what: &str,
) -> Result<Vec<T>> {
    let meaning = |text: &str| match text.trim() {
        "" => Err(format!("a {what} is missing here")),
        text => text.parse::<T>().map_err(|error| error.to_string()),
    };
    let typed = typed.into_iter().flatten();
    typed.map(|text| context.read(text, meaning)).collect()
}

pub(in crate::config) fn to_raw(expect: &Expect) -> Option<Spanned<RawExpect>> {
    fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Option<Vec<Text>> {
        let texts: Vec<Text> = values
            .into_iter()
            .map(|value| text(escape(&value.to_string())))
            .collect();
        (!texts.is_empty()).then_some(texts)
    }
    if *expect == Expect::default() {
        return None;
    }
    let answers = &expect.answers;
    let raw = RawExpect {
        any_of: texts(&answers.any_of),
        all_of: texts(&answers.all_of),
        within: texts(&answers.within),
        origin: texts(&expect.origins),
        min_count: answers.min_count,
        not_bogon: Some(answers.not_bogon),
    };
    let nowhere = Location::UNKNOWN;
    Some(Spanned::new(raw, nowhere, nowhere))
}

/// Of those names that expect some.
pub(in crate::config) fn origins(names: &[(Location, Name)]) -> BTreeMap<String, BTreeSet<Asn>> {
    let names = names
        .iter()
        .map(|(_, name)| name)
        .filter(|name| !name.expect.origins.is_empty());
    names
        .map(|name| (name.name.clone(), name.expect.origins.clone()))
        .collect()
}
