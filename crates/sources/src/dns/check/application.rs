//! A resolver "as an application sees it": looked up by hickory's stub resolver, and not by ours.
//!
//! Our prober asks one plain question and keeps what came back. A stub does what the library under an application does: it goes over to TCP,
//! follows aliases that the resolver did not, and turns what it dislikes into an error. Where the two differ, users see this one.
//! It says nothing of EDE, flags or packets, so it is shown beside the resolver and never judged.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::{DnsError, NetError};
use hickory_proto::rr::{Name, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use netfault_model::Outcome;

use super::asked::milliseconds;
use super::{CheckProbe, CheckRole};
use crate::dns::outcome;
use crate::dns::resolver::{Resolver, Via};
use crate::dns::wire::{plain_name, rcode_name};

/// A and AAAA at the same time, as `getaddrinfo` asks. Nothing of a resolver that is asked over TLS or HTTPS: applications are not.
pub(super) async fn look_up(resolver: &Resolver, name: &Name, timeout: Duration) -> Vec<CheckProbe> {
    let connections = match resolver.via {
        Via::Udp => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
        Via::Tcp => vec![ConnectionConfig::tcp()],
        Via::Tls { .. } | Via::Https { .. } => return Vec::new(),
    };
    let stub = match stub(resolver, connections, timeout) {
        Ok(stub) => stub,
        Err(error) => {
            tracing::warn!(%resolver, %error, "cannot ask as an application would");
            return Vec::new();
        }
    };
    let lookups = [RecordType::A, RecordType::AAAA].map(async |qtype| {
        let start = Instant::now();
        let found = stub.lookup(name.clone(), qtype).await;
        probe(resolver, name, qtype, found, start.elapsed())
    });
    join_all(lookups).await
}

/// One server, no cache, no retry, no hosts file, no search list: what it says is what that server said now.
fn stub(
    resolver: &Resolver,
    mut connections: Vec<ConnectionConfig>,
    timeout: Duration,
) -> Result<TokioResolver, NetError> {
    for connection in &mut connections {
        connection.port = resolver.addr.port();
    }
    let server = NameServerConfig::new(resolver.addr.ip(), true, connections);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options(timeout);
    builder.build()
}

fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    options.attempts = 0;
    options.cache_size = 0;
    options.num_concurrent_reqs = 1;
    options.use_hosts_file = ResolveHosts::Never;
    options
}

fn probe(
    resolver: &Resolver,
    name: &Name,
    qtype: RecordType,
    found: Result<Lookup, NetError>,
    took: Duration,
) -> CheckProbe {
    let mut probe = CheckProbe {
        role: CheckRole::Application,
        server: resolver.addr,
        via: (resolver.via != Via::Udp).then(|| resolver.clone()),
        outcome: Outcome::Ok,
        rcode: Some(rcode_name(0).into_owned()),
        latency_ms: milliseconds(took),
        ttl: None,
        ede: None,
        qname: plain_name(name),
        qtype: qtype.to_string(),
        authoritative: false,
        nsid: None,
        answers: Vec::new(),
        transport: resolver.via.transport(),
        packets_sent: 0,
        detail: None,
        dnssec: None,
        prefix: None,
        origin: None,
    };
    match found {
        Ok(lookup) => {
            probe.ttl = lookup.answers().iter().map(|record| record.ttl).min();
            probe.answers = outcome::presentation(lookup.answers(), qtype);
        }
        Err(error) => {
            let rcode = rcode(&error);
            probe.outcome = of_error(&error);
            probe.rcode = rcode.map(|rcode| rcode_name(rcode).into_owned());
            probe.detail = rcode.is_none().then(|| error.to_string());
        }
    }
    probe
}

/// Of the answer that the stub made an error of; `None`: there was no answer.
fn rcode(error: &NetError) -> Option<u16> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Some(none.response_code.into()),
        NetError::Dns(DnsError::ResponseCode(code)) => Some((*code).into()),
        _ => None,
    }
}

fn of_error(error: &NetError) -> Outcome {
    match (error, rcode(error)) {
        (_, Some(0)) => Outcome::Nodata,
        (_, Some(rcode)) => outcome::of_rcode(rcode),
        (NetError::Timeout, _) => Outcome::Timeout,
        (NetError::Truncated, _) => Outcome::Truncated,
        (NetError::Proto(_) | NetError::ForeignClassRecord { .. }, _) => Outcome::Malformed,
        (NetError::Io(error), _) => of_io(error.kind()),
        // Errors of the library's own: no connection, too busy.
        _ => Outcome::Void,
    }
}

fn of_io(kind: ErrorKind) -> Outcome {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Outcome::ConnRefused,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Outcome::NetUnreachable,
        ErrorKind::TimedOut => Outcome::Timeout,
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData => Outcome::Malformed,
        _ => Outcome::Void,
    }
}

#[cfg(test)]
mod tests {
    use hickory_net::NoRecords;
    use hickory_proto::ProtoError;
    use hickory_proto::op::{Query, ResponseCode};

    use super::*;

    #[test]
    fn each_error_of_the_library_is_an_outcome() {
        let none = |code| NetError::from(NoRecords::new(Query::default(), code));
        let said = |code| NetError::Dns(DnsError::ResponseCode(code));
        let io = |kind| NetError::from(std::io::Error::from(kind));
        for (error, rcode_of, outcome) in [
            (none(ResponseCode::NoError), Some(0), Outcome::Nodata),
            (none(ResponseCode::NXDomain), Some(3), Outcome::Nxdomain),
            (said(ResponseCode::FormErr), Some(1), Outcome::Formerr),
            (said(ResponseCode::ServFail), Some(2), Outcome::Servfail),
            (said(ResponseCode::NotImp), Some(4), Outcome::Notimp),
            (said(ResponseCode::Refused), Some(5), Outcome::Refused),
            (NetError::Timeout, None, Outcome::Timeout),
            (NetError::Truncated, None, Outcome::Truncated),
            (NetError::Proto(ProtoError::from("bad")), None, Outcome::Malformed),
            (io(ErrorKind::ConnectionRefused), None, Outcome::ConnRefused),
            (io(ErrorKind::NetworkUnreachable), None, Outcome::NetUnreachable),
            (NetError::Busy, None, Outcome::Void),
        ] {
            assert_eq!((rcode(&error), of_error(&error)), (rcode_of, outcome), "{error}");
        }
    }
}
