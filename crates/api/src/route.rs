//! Which path is which endpoint, who may call it, and how much it takes.
//!
//! A new endpoint is a file in [`crate::endpoints`], a variant of `Endpoint` and its line in each `match` below.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use netfault_model::Time;

use crate::answer::Answer;
use crate::callers::{Caller, Claim};
use crate::server::State;
use crate::sign::{self, Stamp};
use crate::{batch, endpoints, reports};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Health,
    Probes,
    Reports,
}

/// Who may call.
enum Access {
    Anybody,
    /// With a signature; answered with one.
    Agents,
    /// With a bearer token.
    Clients,
}

impl Endpoint {
    fn at(path: &str) -> Option<Endpoint> {
        match path {
            "/healthz" => Some(Endpoint::Health),
            "/api/v1/probes" => Some(Endpoint::Probes),
            "/api/v1/reports" => Some(Endpoint::Reports),
            _ => None,
        }
    }

    fn method(self) -> Method {
        match self {
            Endpoint::Health => Method::GET,
            Endpoint::Probes | Endpoint::Reports => Method::POST,
        }
    }

    fn access(self) -> Access {
        match self {
            Endpoint::Health => Access::Anybody,
            Endpoint::Probes => Access::Agents,
            Endpoint::Reports => Access::Clients,
        }
    }

    /// Bytes of the longest body.
    fn takes(self) -> usize {
        match self {
            Endpoint::Health => 0,
            Endpoint::Probes => batch::MAX_PACKED,
            Endpoint::Reports => reports::MAX_BODY,
        }
    }

    async fn call(self, call: Call<'_>) -> Answer {
        match self {
            Endpoint::Health => endpoints::health::get(&call),
            Endpoint::Probes => endpoints::probes::post(call).await,
            Endpoint::Reports => endpoints::reports::post(&call),
        }
    }
}

/// What an endpoint is given: a request whose caller is known, with its whole body.
pub(crate) struct Call<'a> {
    pub state: &'a State,
    pub caller: Caller,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    /// Our clock.
    pub now: Time,
}

impl Call<'_> {
    /// The value of a header as text; empty where there is none.
    pub fn header(&self, name: HeaderName) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("").trim()
    }

    /// A number of the query (`epoch=1&seq=2`).
    pub fn number(&self, key: &str) -> Option<u64> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value);
        values.next()?.parse().ok()
    }
}

/// From a request to its answer; never fails and never panics, whatever the bytes are.
pub(crate) async fn answer(state: Arc<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let answer = route(&state, &parts, body).await;
    if answer.status.is_client_error() {
        tracing::debug!(status = answer.status.as_u16(), method = %parts.method, path = parts.uri.path(), "refused");
    }
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    response.headers_mut().extend(answer.headers);
    response
}

async fn route(state: &State, parts: &Parts, body: Incoming) -> Answer {
    let Some(endpoint) = Endpoint::at(parts.uri.path()) else {
        return Answer::error(StatusCode::NOT_FOUND, "there is nothing at this path");
    };
    let wanted = endpoint.method();
    let is_head = wanted == Method::GET && parts.method == Method::HEAD;
    if parts.method != wanted && !is_head {
        return Answer::not_allowed(if wanted == Method::GET { "GET" } else { "POST" });
    }
    let caller = match endpoint.access() {
        Access::Agents => return signed(state, endpoint, parts, body).await,
        Access::Anybody => Ok(Caller::Anybody),
        Access::Clients => state.callers.bearer(&parts.headers),
    };
    let read = match caller {
        Ok(caller) => read(state, endpoint, parts, body)
            .await
            .map(|body| (caller, body)),
        Err(refused) => Err(refused),
    };
    match read {
        Ok((caller, body)) => call(state, endpoint, parts, caller, body).await,
        Err(refused) => refused,
    }
}

async fn call(state: &State, endpoint: Endpoint, parts: &Parts, caller: Caller, body: Bytes) -> Answer {
    let call = Call {
        state,
        caller,
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        body,
        now: (state.clock)(),
    };
    endpoint.call(call).await
}

/// An agent's request. Once it is known to be genuine every answer is signed, a refusal too.
async fn signed(state: &State, endpoint: Endpoint, parts: &Parts, body: Incoming) -> Answer {
    let claim = match state.callers.claim(&parts.headers) {
        Ok(claim) => claim,
        Err(refused) => return refused,
    };
    let body = match read(state, endpoint, parts, body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if let Err(refused) = claim.verify(parts.method.as_str(), target, &body) {
        return refused;
    }
    let answer = genuine(state, endpoint, parts, &claim, body).await;
    seal(answer, &claim, (state.clock)())
}

async fn genuine(state: &State, endpoint: Endpoint, parts: &Parts, claim: &Claim<'_>, body: Bytes) -> Answer {
    let turn = claim.is_new((state.clock)()).and_then(|()| claim.turn());
    match turn {
        Ok(_turn) => {
            let caller = Caller::Agent(claim.name.clone());
            call(state, endpoint, parts, caller, body).await
        }
        Err(refused) => refused,
    }
}

fn seal(mut answer: Answer, claim: &Claim, now: Time) -> Answer {
    let stamp = Stamp {
        time: now,
        nonce: claim.stamp.nonce,
    };
    let signature = sign::answer(&claim.agent.token, answer.status.as_u16(), stamp, &answer.body);
    let header = |name: &'static str, value: String| {
        let value = HeaderValue::try_from(value).ok()?; // digits always fit
        Some((HeaderName::from_static(name), value))
    };
    answer
        .headers
        .extend(header(sign::TIME, now.micros().to_string()));
    answer.headers.extend(header(sign::SIGNATURE, signature));
    answer
}

/// The whole body, if it is not too long and comes in time.
async fn read(state: &State, endpoint: Endpoint, parts: &Parts, body: Incoming) -> Result<Bytes, Answer> {
    let most = endpoint.takes();
    if most == 0 {
        return Ok(Bytes::new());
    }
    let too_long = || {
        let sentence = format!("the body may have {most} bytes");
        Answer::error(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    };
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let length: Option<u64> = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let whole = Limited::new(body, most).collect();
    match tokio::time::timeout(state.limits.body, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Answer::bad_request("the body broke off")),
        Err(_) => Err(late(state.limits.body)),
    }
}

fn late(patience: Duration) -> Answer {
    let sentence = format!("the body did not come within {} s", patience.as_secs());
    Answer::error(StatusCode::REQUEST_TIMEOUT, sentence)
}
