//! What the web is asked about the services, as the sources crate takes it.

use std::time::Duration;

use netfault_sources::dns::transport::tls::TlsRoots;
use netfault_sources::hints::{Asker, Job, Kind, Limits, Plan};

use crate::config::Config;
use crate::exit::{Failure, Result};

/// Requests at the same time. Each holds a socket and some 100 kB at most.
const IN_FLIGHT: usize = 64;
/// A resolver's patience in DESIGN section 6; a connection and a handshake have the same.
const PHASE: Duration = Duration::from_secs(5);

/// No hint for so long is a fault of ours, or of all that is asked: three rounds with everything that may go wrong in them.
pub fn patience(plan: &Plan) -> Duration {
    const START: Duration = Duration::from_secs(10);
    let limits = plan.asker.limits();
    (plan.interval + limits.resolve + limits.connect + limits.tls + limits.answer) * 3 + START
}

/// `None`: there is nothing to ask.
pub fn plan(config: &Config) -> Result<Option<Plan>> {
    let section = &config.hints;
    let jobs = section.services.iter().flat_map(|(service, web)| {
        let job = |kind, target: &_| Job {
            service: service.clone(),
            kind,
            target: Clone::clone(target),
        };
        let probes = web.urls.iter().map(move |url| job(Kind::Probe, url));
        probes.chain(
            web.status_page
                .iter()
                .map(move |page| job(Kind::StatusPage, page)),
        )
    });
    let jobs: Vec<Job> = jobs.collect();
    if jobs.is_empty() {
        return Ok(None);
    }
    let tls = match &section.ca_file {
        Some(file) => TlsRoots::with_file(file)
            .map_err(|error| Failure::config(error.to_string()))?
            .plain(),
        None => TlsRoots::public().plain(),
    };
    let phase = PHASE.min(section.timeout);
    let limits = Limits {
        resolve: phase,
        connect: phase,
        tls: phase,
        answer: section.timeout,
    };
    Ok(Some(Plan {
        vantage: config.dns.vantage.clone(),
        jobs,
        interval: section.interval,
        max_in_flight: IN_FLIGHT,
        asker: Asker::new(tls, limits),
    }))
}
