//! From what was typed to what is checked.

use std::sync::Arc;

use netfault_sources::dns::check::CheckOptions;
use netfault_sources::dns::expect::Expectation;
use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::dns::validate::Validation;
use netfault_sources::dns::walk::Limits;

use super::{hints, servers};
use crate::cli::{CheckArgs, ExpectArgs};
use crate::exit::{Failure, Result, sentence};

pub fn options(args: &CheckArgs) -> Result<CheckOptions> {
    let validate = match (&args.trust_anchor, args.validate) {
        (Some(path), _) => {
            Some(Validation::from_file(path).map_err(|error| Failure::data(sentence(&error)))?)
        }
        (None, true) => Some(Validation::public()),
        (None, false) => None,
    };
    if validate.is_some() && !args.authority.is_empty() {
        tracing::warn!(
            "answers of authorities that are given are not validated: only a walk knows the zones above them"
        );
    }
    let tls = args.tls_ca.as_deref().map(TlsRoots::with_file).transpose();
    let tls = tls.map_err(|error| Failure::data(sentence(&error)))?;
    let expect = expectation(&args.expect);
    Ok(CheckOptions {
        resolvers: args.resolver.clone(),
        authorities: servers(&args.authority)?,
        hints: hints(&args.root)?,
        limits: Limits {
            port: args.root.port,
            ..Limits::default()
        },
        expect: (!expect.is_empty()).then(|| Arc::new(expect)),
        validate,
        tls: tls.map(Arc::new),
        ..CheckOptions::default()
    })
}

fn expectation(args: &ExpectArgs) -> Expectation {
    Expectation {
        any_of: args.any_of.clone(),
        all_of: args.all_of.clone(),
        within: args.within.clone(),
        min_count: args.min_count,
        not_bogon: args.not_bogon,
    }
}
