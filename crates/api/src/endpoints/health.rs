//! `GET /healthz`: is the collector taking anything?

use serde_json::json;

use crate::answer::Answer;
use crate::route::Call;

pub(crate) fn get(call: &Call) -> Answer {
    if call.state.doors.inputs.is_closed() {
        return Answer::busy("the collector is stopping", 5);
    }
    Answer::ok(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}
