//! DNSSEC validation of our own: is what this server says the truth of the zone's owner, and if not, which link fails?
//!
//! ```text
//!   question ──► hickory's validator ──► fetch: DS and DNSKEY, one connection each ──► verdict
//!                                          │ everything fetched is kept
//!                                          └──────────────► explain: the first link that does not hold
//! ```
//!
//! * [`fetch`] asks the resolver in question for the whole chain, with CD=1, so that it is the one that is judged; of an authority,
//!   the servers of the zones above it
//! * [`wildcard`] one proof that hickory does not accept, though it is one
//! * [`explain`] pure: from what was fetched to a sentence
//!
//! hickory decides, since it knows NSEC, NSEC3 and the rest of it; but it tells only *that* a record is bogus. The explanation looks at the same
//! messages again. What could not be fetched makes nothing bogus: that is `indeterminate`.
//!
//! Signatures are held against the wall clock, so a probe that validates is a live one; its outcome is what is recorded and replayed.

mod explain;
mod fetch;
mod wildcard;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use futures_util::StreamExt;
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::xfer::DnsHandle;
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::{Proof, TrustAnchors};
use hickory_proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_proto::rr::{Name, RecordType};
use netfault_model::Outcome;
use serde::Serialize;

use super::probe::{Question, Reply};
use fetch::Fetcher;

/// A file of anchors has a few lines.
const MAX_ANCHORS: u64 = 1 << 20;

/// Whom to believe, and where the zones above an authority are served.
#[derive(Clone)]
pub struct Validation {
    anchors: Arc<TrustAnchors>,
    zones: Vec<(Name, Vec<SocketAddr>)>,
}

impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validation")
            .field("zones", &self.zones)
            .finish_non_exhaustive()
    }
}

/// A file of trust anchors that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct BadAnchors {
    pub path: PathBuf,
    pub why: String,
}

impl Validation {
    /// The root of the Internet: the keys of 2018 and 2024.
    pub fn public() -> Self {
        Validation {
            anchors: Arc::new(TrustAnchors::default()),
            zones: Vec::new(),
        }
    }

    /// The keys in a file: DNSKEY records in presentation form, of the root or of any zone.
    ///
    /// # Errors
    /// It cannot be read, or has no DNSKEY.
    pub fn from_file(path: &Path) -> Result<Self, BadAnchors> {
        let bad = |why: String| BadAnchors {
            path: path.to_owned(),
            why,
        };
        let size = std::fs::metadata(path)
            .map_err(|error| bad(error.to_string()))?
            .len();
        if size > MAX_ANCHORS {
            return Err(bad("it is too large for a file of trust anchors".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        if !text
            .lines()
            .any(|line| line.contains("DNSKEY") && !line.trim_start().starts_with(';'))
        {
            return Err(bad("there is no DNSKEY record in it".to_owned()));
        }
        let anchors = TrustAnchors::from_str(&text).map_err(|error| bad(error.to_string()))?;
        Ok(Validation {
            anchors: Arc::new(anchors),
            zones: Vec::new(),
        })
    }

    /// For authorities: the zones on the way down, and servers of each. Without them only resolvers can be validated.
    pub fn along(&self, zones: Vec<(Name, Vec<SocketAddr>)>) -> Self {
        Validation {
            anchors: self.anchors.clone(),
            zones,
        }
    }
}

/// RFC 4033 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    Secure,
    /// It is proven that the zone, or one above it, is not signed.
    Insecure,
    Bogus,
    /// What is needed could not be fetched.
    Indeterminate,
}

impl Security {
    pub fn name(self) -> &'static str {
        match self {
            Security::Secure => "secure",
            Security::Insecure => "insecure",
            Security::Bogus => "bogus",
            Security::Indeterminate => "indeterminate",
        }
    }
}

/// What validation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    pub security: Security,
    /// Which link of the chain fails or ends; `None` if all is secure.
    pub why: Option<String>,
    /// Connections that it took.
    pub questions: u32,
}

/// A reply that is an answer, or that the server itself calls bogus, with what validation makes of it.
pub(super) async fn judge(question: &Question, reply: Reply) -> Reply {
    let Some(validation) = &question.validate else {
        return reply;
    };
    let is_answer = matches!(
        reply.outcome,
        Outcome::Ok
            | Outcome::Nodata
            | Outcome::Nxdomain
            | Outcome::Bogon
            | Outcome::WrongAnswer
            | Outcome::Bogus
    );
    if !is_answer || (question.role.is_authority() && validation.zones.is_empty()) {
        return reply;
    }
    let validated = validate(question, validation).await;
    apply(reply, validated)
}

fn apply(mut reply: Reply, validated: Validated) -> Reply {
    let Validated { security, why, .. } = &validated;
    if *security == Security::Bogus {
        reply.outcome = Outcome::Bogus;
        reply.details.detail.clone_from(why);
    } else if reply.outcome == Outcome::Bogus {
        // The server could not validate it, and we can: the fault is its own, an old trust anchor say.
        reply.details.detail = Some(format!("validated here it is {}", security.name()));
    } else if reply.details.detail.is_none() && *security != Security::Secure {
        let why = why.as_deref().unwrap_or_default();
        reply.details.detail = Some(format!("{}: {why}", security.name()));
    }
    reply.validated = Some(validated);
    reply
}

/// Asks again, with signatures, and holds them against the anchors.
pub async fn validate(question: &Question, validation: &Validation) -> Validated {
    let fetcher = Fetcher::new(question, validation);
    let validator = DnssecDnsHandle::with_trust_anchor(fetcher.clone(), validation.anchors.clone());
    let query = Query::query(question.name.clone(), question.qtype);
    let options = DnsRequestOptions::default();
    let answer = validator.lookup(query, options).next().await;
    let security = match &answer {
        Some(Ok(response)) => of_answer(response),
        Some(Err(NetError::Dns(DnsError::Nsec { response, .. }))) if wildcard::holds(response) => {
            Security::Secure
        }
        Some(Err(NetError::Dns(DnsError::Nsec { proof, .. }))) => of_proof(*proof),
        Some(Err(_)) | None => Security::Indeterminate,
    };
    let seen = fetcher.seen();
    let asked = (&question.name, question.qtype);
    // hickory calls bogus what it could not fetch. What a proof lacks because of us is no fault of the zone.
    let (security, why) = match (security, seen.first_failure()) {
        (Security::Secure, _) => (Security::Secure, None),
        (Security::Insecure, _) => (Security::Insecure, Some(explain::insecure(&seen, asked.0))),
        (_, Some(failure)) => (Security::Indeterminate, Some(failure)),
        (Security::Bogus, None) => (
            Security::Bogus,
            Some(explain::bogus(&seen, &validation.anchors, asked, now())),
        ),
        (Security::Indeterminate, None) => {
            let error = answer.and_then(Result::err).map(|error| error.to_string());
            (Security::Indeterminate, error)
        }
    };
    Validated {
        security,
        why,
        questions: fetcher.questions(),
    }
}

/// Seconds since 1970, as hickory takes them.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The worst of the records that answer the question; of a denial, the worst of what proves it.
fn of_answer(response: &DnsResponse) -> Security {
    let section = match response.answers.is_empty() {
        true => &response.authorities,
        false => &response.answers,
    };
    let proofs = section
        .iter()
        .filter(|record| record.record_type() != RecordType::RRSIG)
        .map(|record| of_proof(record.proof));
    let rank = |security: &Security| match security {
        Security::Bogus => 0,
        Security::Indeterminate => 1,
        Security::Insecure => 2,
        Security::Secure => 3,
    };
    // hickory lets an empty answer pass only where the zone is proven to be unsigned.
    proofs.min_by_key(rank).unwrap_or(Security::Insecure)
}

fn of_proof(proof: Proof) -> Security {
    match proof {
        Proof::Secure => Security::Secure,
        Proof::Insecure => Security::Insecure,
        Proof::Bogus => Security::Bogus,
        Proof::Indeterminate => Security::Indeterminate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_keys_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchors");
        for (text, why) in [
            ("", "there is no DNSKEY record in it"),
            ("; . IN DNSKEY\n", "there is no DNSKEY record in it"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Validation::from_file(&path).unwrap_err().why, why);
        }
        std::fs::write(&path, ". IN DNSKEY 257 3 13 !!!\n").unwrap();
        assert!(Validation::from_file(&path).is_err());
        let absent = Validation::from_file(Path::new("/nonexistent/anchors")).unwrap_err();
        assert!(absent.to_string().starts_with("/nonexistent/anchors: "));
    }
}
