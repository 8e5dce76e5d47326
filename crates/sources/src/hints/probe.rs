//! One HTTP(S) probe: how far it came, and what is said of it.

use netfault_model::{HintKind, HttpPhase};

use super::exchange::{Asker, Exchange};
use super::target::Target;

/// As much of an answer as is read: enough to know that it comes, too little to be a load.
const MAX_BODY: usize = 64 << 10;

pub(super) async fn probe(asker: &Asker, target: &Target, vantage: &str) -> HintKind {
    let exchange = asker.ask(target, None, MAX_BODY).await;
    HintKind::Http {
        error: error(&exchange),
        vantage: vantage.to_owned(),
        reached: exchange.reached,
        status: exchange.status.map(|status| status.as_u16()),
        addr: exchange.addr,
        latency_us: u32::try_from(exchange.took.as_micros()).unwrap_or(u32::MAX),
    }
}

/// A server that says that it fails came all the way, and fails.
fn error(exchange: &Exchange) -> Option<String> {
    let status = exchange.status.filter(|_| exchange.reached == HttpPhase::Done);
    let failure = status.filter(hyper::StatusCode::is_server_error);
    exchange
        .error
        .clone()
        .or_else(|| failure.map(|status| format!("answers {status}")))
}
