//! The messages that a validator needs, each asked for once over a connection of its own, and kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_proto::op::{DnsRequest, DnsResponse, Message};
use hickory_proto::rr::{Name, RecordType};
use tokio::time::Instant;

use super::Validation;
use crate::dns::outcome::Failure;
use crate::dns::probe::Question;
use crate::dns::resolver::Via;
use crate::dns::transport::connection::{Talk, Way, exchange};
use crate::dns::transport::tls::TlsRoots;
use crate::dns::wire::{self, Flags, plain_name, rcode_name};

/// Questions of one validation. A name of ten labels with an alias needs some forty.
const MAX_QUESTIONS: u32 = 100;
/// Servers of a zone that are tried.
const MAX_SERVERS: usize = 3;
/// All of it may take so many times the time of one question.
const PATIENCE: u32 = 6;

type Key = (Name, RecordType);

/// What came of each question: a message, or why there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    messages: BTreeMap<Key, Result<Message, String>>,
}

impl Seen {
    pub fn message(&self, name: &Name, qtype: RecordType) -> Option<&Message> {
        self.messages.get(&(name.to_lowercase(), qtype))?.as_ref().ok()
    }

    /// Names that were asked for `qtype`, the shortest first.
    pub fn names(&self, qtype: RecordType) -> Vec<&Name> {
        let keys = self.messages.keys().filter(|(_, asked)| *asked == qtype);
        let mut names: Vec<&Name> = keys.map(|(name, _)| name).collect();
        names.sort_by_key(|name| (name.num_labels(), (*name).clone()));
        names
    }

    /// In words, the first question (nearest to the root) that has no answer.
    pub fn first_failure(&self) -> Option<String> {
        let mut failed: Vec<(&Key, &String)> = self
            .messages
            .iter()
            .filter_map(|(key, message)| Some((key, message.as_ref().err()?)))
            .collect();
        failed.sort_by_key(|((name, _), _)| name.num_labels());
        let ((name, qtype), why) = failed.first()?;
        Some(format!("no answer for {qtype} of {}: {why}", plain_name(name)))
    }
}

#[derive(Clone)]
pub(super) struct Fetcher(Arc<Inner>);

struct Inner {
    question: Question,
    zones: Vec<(Name, Vec<SocketAddr>)>,
    deadline: Instant,
    asked: AtomicU32,
    seen: Mutex<Seen>,
}

impl Fetcher {
    pub fn new(question: &Question, validation: &Validation) -> Self {
        Fetcher(Arc::new(Inner {
            question: question.clone(),
            zones: validation.zones.clone(),
            deadline: Instant::now() + question.timeout * PATIENCE,
            asked: AtomicU32::new(0),
            seen: Mutex::default(),
        }))
    }

    pub fn seen(&self) -> Seen {
        self.0.seen().clone()
    }

    pub fn questions(&self) -> u32 {
        self.0.asked.load(Relaxed)
    }
}

impl DnsHandle for Fetcher {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let inner = self.0.clone();
        Box::pin(stream::once(async move {
            let Some(query) = request.queries.first() else {
                return Err(NetError::Message("no question"));
            };
            let message = inner.fetch(query.name().to_lowercase(), query.query_type()).await;
            DnsResponse::from_message(message.map_err(NetError::Msg)?).map_err(NetError::from)
        }))
    }
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing that happens under this lock leaves it half done.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, name: Name, qtype: RecordType) -> Result<Message, String> {
        let key = (name, qtype);
        if let Some(message) = self.seen().messages.get(&key) {
            return message.clone();
        }
        let message = self.ask_servers(&key.0, qtype).await;
        self.seen().messages.insert(key, message.clone());
        message
    }

    /// The first good answer of the servers that should know.
    async fn ask_servers(&self, name: &Name, qtype: RecordType) -> Result<Message, String> {
        let mut last = "none of the zones on the way holds it".to_owned();
        for server in self.servers(name, qtype) {
            match self.ask(server, name, qtype).await {
                Ok(message) => return Ok(message),
                Err(why) => last = format!("{server}: {why}"),
            }
        }
        Err(last)
    }

    /// A resolver knows everything. Else: of the deepest zone that has the name, the parent's for DS (RFC 4035 §3.1.4.1); the
    /// question itself goes to nobody but its own server.
    fn servers(&self, name: &Name, qtype: RecordType) -> Vec<SocketAddr> {
        let Question { server, role, .. } = self.question;
        let is_itself = *name == self.question.name && qtype == self.question.qtype;
        if !role.is_authority() || is_itself {
            return vec![server];
        }
        let holds = |zone: &Name| zone.zone_of(name) && (qtype != RecordType::DS || zone != name);
        let deepest = self
            .zones
            .iter()
            .filter(|(zone, _)| holds(zone))
            .max_by_key(|(zone, _)| zone.num_labels());
        let servers = deepest.map(|(_, servers)| servers.clone()).unwrap_or_default();
        match servers.contains(&server) {
            // It serves this zone too: it is the one that is judged.
            true => vec![server],
            false => servers.into_iter().take(MAX_SERVERS).collect(),
        }
    }

    async fn ask(&self, server: SocketAddr, name: &Name, qtype: RecordType) -> Result<Message, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if self.asked.fetch_add(1, Relaxed) >= MAX_QUESTIONS || left.is_zero() {
            return Err("given up, it is too much".to_owned());
        }
        let is_authority = self.question.role.is_authority();
        let flags = Flags {
            recurse: !is_authority,
            no_validation: !is_authority,
            dnssec_ok: true,
            random_case: false,
        };
        let mut query = wire::query(name, qtype, flags).map_err(|error| error.to_string())?;
        if matches!(self.question.via, Via::Https { .. }) {
            query.set_id(0);
        }
        let way = Way {
            server,
            via: &self.question.via,
            roots: self.question.tls.as_deref().unwrap_or_else(|| TlsRoots::public()),
        };
        let wait: Duration = left.min(self.question.timeout);
        let whole = exchange(way, &query, wait, &mut Talk::default()).await;
        let whole = whole.map_err(|broken| match (broken.detail, broken.failure) {
            (Some(detail), _) => detail,
            (None, Failure::Timeout) => "no answer in time".to_owned(),
            (None, Failure::ConnRefused) => "connection refused".to_owned(),
            (None, Failure::NetUnreachable) => "unreachable".to_owned(),
            (None, Failure::Local | Failure::Garbled) => "cannot be asked".to_owned(),
        })?;
        match whole.answer.rcode {
            0 | 3 => Message::from_vec(&whole.bytes).map_err(|error| format!("no DNS message: {error}")),
            rcode => Err(rcode_name(rcode).into_owned()),
        }
    }
}
