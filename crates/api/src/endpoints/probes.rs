//! `POST /api/v1/probes?epoch=E&seq=N`: a batch of an agent's results (see [`crate::batch`]).
//!
//! 200 `{"taken": "applied"}` it is in the journal, or `"known"`: it was there before. 409 `{"error", "epoch"}`: a later run of
//! that agent has reported, whose epoch this is. 400 and 403: it will never be taken.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::batch::{self, Malformed};
use crate::callers::Caller;
use crate::route::Call;
use crate::{Delivery, Position, Taken};

/// How long the journal may take. The agent asks again, and what is in the queue by then is known.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn post(call: Call<'_>) -> Answer {
    let Caller::Agent(agent) = &call.caller else {
        return Answer::error(StatusCode::FORBIDDEN, "only agents send results");
    };
    let (delivery, taken) = match delivery(&call, agent) {
        Ok(both) => both,
        Err(refused) => return refused,
    };
    // Never waits: a queue that is full now is the agent's cue to keep it in its spool.
    match call.state.doors.deliveries.try_send(delivery) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Answer::busy("the pipeline is busy", 2),
        Err(TrySendError::Closed(_)) => return stopping(),
    }
    match tokio::time::timeout(PATIENCE, taken).await {
        Ok(Ok(taken)) => {
            call.state.heard.note(agent, call.now);
            said(taken)
        }
        Ok(Err(_)) => stopping(),
        Err(_) => Answer::busy("the journal is busy", 5),
    }
}

fn delivery(call: &Call, agent: &Arc<str>) -> Result<(Delivery, oneshot::Receiver<Taken>), Answer> {
    if call.header(CONTENT_TYPE) != "application/json" || call.header(CONTENT_ENCODING) != "zstd" {
        let sentence = "this path takes 'Content-Type: application/json' with 'Content-Encoding: zstd'";
        return Err(Answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence));
    }
    let (Some(epoch), Some(seq)) = (call.number("epoch"), call.number("seq")) else {
        return Err(Answer::bad_request("the query needs the numbers epoch and seq"));
    };
    let items = batch::unpack(&call.body).map_err(malformed)?;
    let inputs = batch::inputs(items, agent, call.now).map_err(malformed)?;
    if !call.state.names.admit(agent, &inputs) {
        let sentence = "this agent has reported about more names than one agent may";
        return Err(Answer::error(StatusCode::FORBIDDEN, sentence));
    }
    let (taken, answer) = oneshot::channel();
    let delivery = Delivery {
        agent: agent.clone(),
        position: Position { epoch, seq },
        inputs,
        taken,
    };
    Ok((delivery, answer))
}

fn malformed(why: Malformed) -> Answer {
    let status = match why {
        Malformed::Vantage { .. } => StatusCode::FORBIDDEN,
        Malformed::TooLong | Malformed::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Answer::error(status, why)
}

fn said(taken: Taken) -> Answer {
    match taken {
        Taken::Applied => Answer::ok(&json!({"taken": "applied"})),
        Taken::Known => Answer::ok(&json!({"taken": "known"})),
        Taken::OlderEpoch(epoch) => {
            let error = "a later run of this agent has reported already";
            Answer::json(StatusCode::CONFLICT, &json!({"error": error, "epoch": epoch}))
        }
    }
}

fn stopping() -> Answer {
    Answer::busy("the collector is stopping", 2)
}
