//! `POST /api/v1/reports`: counts of user reports, and traffic (see [`crate::reports`]).
//!
//! 202 `{"taken": N}`: they are on their way. 400: the body is wrong, and why. 422: a service that is not in the configuration.
//! 503 with Retry-After: the same body later.

use hyper::StatusCode;
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;

use crate::answer::Answer;
use crate::reports::{Refused, read};
use crate::route::Call;

pub(crate) fn post(call: &Call) -> Answer {
    let Some(reports) = call.state.reports.get() else {
        return Answer::error(StatusCode::NOT_FOUND, "this collector takes no reports");
    };
    let hints = match read(&call.body, &reports.services, &call.caller.name(), call.now) {
        Ok(hints) => hints,
        Err(refused) => return Answer::error(status(&refused), refused),
    };
    let taken = hints.len();
    // Never waits: whoever pushes comes again, or has newer counts by then.
    match reports.hints.try_send(hints) {
        Ok(()) => Answer::json(StatusCode::ACCEPTED, &json!({"taken": taken})),
        Err(TrySendError::Full(_)) => Answer::busy("the pipeline is busy", 2),
        Err(TrySendError::Closed(_)) => Answer::busy("the collector is stopping", 5),
    }
}

fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Unknown { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::Json(_) | Refused::Empty | Refused::Item { .. } => StatusCode::BAD_REQUEST,
    }
}
