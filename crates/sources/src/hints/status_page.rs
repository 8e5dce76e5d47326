//! A public status page, as Statuspage serves it: `GET /api/v2/summary.json`, of which `status.indicator` and
//! `status.description` are read (<https://www.githubstatus.com/api> describes one).
//!
//! What cannot be read is no hint: a page that is down says nothing of its service.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use netfault_model::HintKind;
use serde::Deserialize;

use super::exchange::{Asker, Exchange};
use super::target::Target;

/// Pages with hundreds of components have summaries of some 300 kB.
const MAX_BODY: usize = 2 << 20;
const MAX_DESCRIPTION: usize = 256;
/// The words of Statuspage. `maintenance` is announced work.
const INDICATORS: [&str; 5] = ["none", "minor", "major", "critical", "maintenance"];

/// What a page said last, so that it need not say it again (RFC 9110 §13.1.2).
#[derive(Clone, Debug)]
pub(super) struct Said {
    etag: HeaderValue,
    indicator: Arc<str>,
    description: Arc<str>,
}

#[derive(Deserialize)]
struct Summary {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    indicator: String,
    description: String,
}

/// What the page says now, and what is to be remembered of it.
///
/// # Errors
/// Why it says nothing: the end of a sentence that begins with the URL.
pub(super) async fn ask(
    asker: &Asker,
    target: &Target,
    said: Option<Said>,
) -> Result<(HintKind, Option<Said>), String> {
    let unchanged = said.as_ref().map(|said| (IF_NONE_MATCH, said.etag.clone()));
    let mut exchange = asker.ask(target, unchanged, MAX_BODY).await;
    if let Some(error) = exchange.error.take() {
        return Err(error);
    }
    match (exchange.status, said) {
        (Some(StatusCode::OK), _) => read(&exchange),
        (Some(StatusCode::NOT_MODIFIED), Some(said)) => {
            Ok((hint(&said.indicator, &said.description), Some(said)))
        }
        (Some(status), _) if status.is_redirection() => {
            let place = exchange
                .headers
                .get(LOCATION)
                .and_then(|place| place.to_str().ok());
            Err(format!(
                "has moved to {}: give that one",
                cut(place.unwrap_or("an unknown place"))
            ))
        }
        (Some(status), _) => Err(format!("answers {status}")),
        (None, _) => Err("does not answer".to_owned()),
    }
}

fn read(exchange: &Exchange) -> Result<(HintKind, Option<Said>), String> {
    if exchange.is_cut {
        return Err(format!("is longer than {MAX_BODY} bytes"));
    }
    let Summary { status } = serde_json::from_slice(&exchange.body)
        .map_err(|error| format!("is no summary of a status page: {error}"))?;
    let Some(indicator) = INDICATORS.into_iter().find(|known| *known == status.indicator) else {
        let unknown = cut(&status.indicator);
        return Err(format!("has the indicator '{unknown}', which nobody knows"));
    };
    let description = cut(&status.description);
    let said = exchange.headers.get(ETAG).map(|etag| Said {
        etag: etag.clone(),
        indicator: indicator.into(),
        description: description.as_str().into(),
    });
    Ok((hint(indicator, &description), said))
}

fn hint(indicator: &str, description: &str) -> HintKind {
    HintKind::Status {
        indicator: indicator.to_owned(),
        description: description.to_owned(),
    }
}

/// A text of a stranger on one line.
fn cut(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_DESCRIPTION).collect::<String>().trim().to_owned()
}
