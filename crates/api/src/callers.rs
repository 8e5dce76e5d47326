//! Who may call, and whether it is really them.
//!
//! * an *agent* signs each request with its token (see [`crate::sign`]) and is answered in the same way;
//! * a *client* (a script that pushes reports) sends its token as `Authorization: Bearer …` (RFC 6750 section 2.1), which is as safe as
//!   the TLS around it.
//!
//! A signed request is good once, and for five minutes: its nonce is remembered as long as its time stamp would be taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use netfault_model::Time;

use crate::answer::Answer;
use crate::sign::{self, Asked, Nonce, Stamp, Token};

/// How far the time stamp of a request may be from our clock. An agent learns the difference from our signed answer.
pub const FRESH: Duration = Duration::from_secs(300);
/// Nonces remembered of one agent: it sends a few requests a second at most.
const MAX_NONCES: usize = 8192;

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// An endpoint that is open to all.
    Anybody,
    Agent(Arc<str>),
    Client(Arc<str>),
}

impl Caller {
    /// The name in the configuration; empty for anybody.
    pub fn name(&self) -> Arc<str> {
        match self {
            Caller::Anybody => "".into(),
            Caller::Agent(name) | Caller::Client(name) => name.clone(),
        }
    }
}

/// The tokens of the configuration.
#[derive(Debug, Default)]
pub struct Callers {
    agents: BTreeMap<Arc<str>, Agent>,
    clients: BTreeMap<Arc<str>, Token>,
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub token: Token,
    seen: Mutex<BTreeSet<(Time, Nonce)>>,
    busy: AtomicBool,
}

/// One request of an agent at a time; it ends with this.
pub(crate) struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A request that says it comes from an agent: what its headers claim.
pub(crate) struct Claim<'a> {
    pub name: Arc<str>,
    pub agent: &'a Agent,
    pub stamp: Stamp,
    signature: String,
}

impl Callers {
    /// Names and tokens; each name once.
    pub fn new<'a>(
        agents: impl IntoIterator<Item = (&'a str, Token)>,
        clients: impl IntoIterator<Item = (&'a str, Token)>,
    ) -> Self {
        let agent = |token| Agent {
            token,
            seen: Mutex::default(),
            busy: AtomicBool::new(false),
        };
        let agents = agents.into_iter();
        let clients = clients.into_iter();
        Callers {
            agents: agents.map(|(name, token)| (name.into(), agent(token))).collect(),
            clients: clients.map(|(name, token)| (name.into(), token)).collect(),
        }
    }

    /// Names of the agents.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<str>> {
        self.agents.keys()
    }

    /// What the headers claim, before the body is read. Nobody is told which agents there are.
    pub(crate) fn claim(&self, headers: &HeaderMap) -> Result<Claim<'_>, Answer> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(name), Some(time), Some(nonce), Some(signature)) = (
            text(sign::CALLER),
            text(sign::TIME).and_then(|text| text.parse().ok()),
            text(sign::NONCE).and_then(Nonce::parse),
            text(sign::SIGNATURE),
        ) else {
            return Err(unauthorized("this path takes signed requests of agents only"));
        };
        let Some((name, agent)) = self.agents.get_key_value(name) else {
            return Err(refused());
        };
        Ok(Claim {
            name: name.clone(),
            agent,
            stamp: Stamp {
                time: Time::from_micros(time),
                nonce,
            },
            signature: signature.to_owned(),
        })
    }

    /// The client whose token the request carries.
    pub(crate) fn bearer(&self, headers: &HeaderMap) -> Result<Caller, Answer> {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = value.and_then(|value| value.split_once(' '));
        let Some((_, given)) = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(unauthorized("this path needs 'Authorization: Bearer TOKEN'"));
        };
        // All of them are compared, so that the time says nothing about which one came near.
        let named = self.clients.iter().filter(|(_, token)| token.is(given.trim()));
        match named.fold(None, |_, named| Some(named)) {
            Some((name, _)) => Ok(Caller::Client(name.clone())),
            None => Err(unauthorized("the token is not one of ours")),
        }
    }
}

impl Claim<'_> {
    /// Whether the claim holds, now that there is a body. The first refusal is for strangers and not signed; the others are for
    /// the agent itself, or for who plays its request again.
    pub(crate) fn verify(&self, method: &str, target: &str, body: &[u8]) -> Result<(), Answer> {
        let asked = Asked {
            method,
            target,
            caller: &self.name,
            stamp: self.stamp,
        };
        match sign::is_request(&self.agent.token, &asked, body, &self.signature) {
            true => Ok(()),
            false => Err(refused()),
        }
    }

    /// A request that is genuine is also new.
    pub(crate) fn is_new(&self, now: Time) -> Result<(), Answer> {
        let Stamp { time, nonce } = self.stamp;
        let off = now.since(time);
        if off.unsigned_abs() > FRESH.as_micros() as u64 {
            return Err(unauthorized(format!(
                "the request is stamped {} s {} the collector's clock",
                off.unsigned_abs() / 1_000_000,
                if off > 0 { "behind" } else { "ahead of" }
            )));
        }
        let mut seen = self.agent.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = seen.first().copied().filter(|(time, _)| *time + FRESH < now) {
            seen.remove(&oldest);
        }
        if seen.contains(&(time, nonce)) {
            return Err(unauthorized("this request was made before"));
        }
        if seen.len() >= MAX_NONCES {
            return Err(too_many("too many requests within five minutes"));
        }
        seen.insert((time, nonce));
        Ok(())
    }

    /// False while another request of the agent is worked on.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, Answer> {
        match self.agent.busy.swap(true, Ordering::AcqRel) {
            false => Ok(Turn(&self.agent.busy)),
            true => Err(too_many("another request of this agent has not ended yet")),
        }
    }
}

fn too_many(sentence: &str) -> Answer {
    Answer::error(StatusCode::TOO_MANY_REQUESTS, sentence).after(2)
}

/// The same for an unknown name and a wrong signature.
fn refused() -> Answer {
    unauthorized("no agent of that name with that token")
}

fn unauthorized(sentence: impl std::fmt::Display) -> Answer {
    let mut answer = Answer::error(StatusCode::UNAUTHORIZED, sentence);
    // RFC 9110 section 11.6.1 wants a challenge; Bearer is the one that people can answer.
    let challenge = hyper::header::HeaderValue::from_static("Bearer realm=\"netfault\"");
    answer.headers.push((WWW_AUTHENTICATE, challenge));
    answer
}
