//! The routes under `/api/v1/`, as the contract names them. Errors are `{"error": "..."}`.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::guard::same_origin;
use super::reply::error;
use crate::drain::{Refused, Report, Request, ServerState, Target};
use crate::handle::Handle;

/// Longest wait that a request may ask for, in seconds.
const MAX_SECONDS: f64 = 86_400.0;

/// Everything, for operators.
pub fn admin_router(handle: Handle) -> Router {
    let api = Router::new()
        .route("/health", get(health))
        .route("/versions", get(versions))
        .route("/streams", get(streams))
        .route("/handovers", get(handovers))
        .route("/drain", get(report).post(drain).delete(cancel))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method);
    Router::new()
        .nest("/api/v1", api)
        .fallback(not_found)
        .layer(middleware::from_fn(same_origin))
        .with_state(handle)
}

/// Health alone, for load balancers.
pub fn public_router(handle: Handle) -> Router {
    Router::new()
        .route("/api/v1/health", get(health))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(handle)
}

async fn not_found() -> impl IntoResponse {
    error(StatusCode::NOT_FOUND, "no such path")
}

async fn wrong_method() -> impl IntoResponse {
    error(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method")
}

async fn health(State(handle): State<Handle>) -> impl IntoResponse {
    let state = handle.state();
    let status = if state == ServerState::Running { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "status": state.name() })))
}

async fn versions(State(handle): State<Handle>) -> impl IntoResponse {
    Json(json!({
        "name": "segue",
        "version": env!("CARGO_PKG_VERSION"),
        "server_id": handle.hub().config().server_id,
    }))
}

#[derive(Serialize)]
struct Publisher {
    told: &'static str,
    segue: bool,
    bytes: u64,
}

#[derive(Serialize)]
struct Stream {
    id: String,
    name: String,
    app: String,
    epoch: u64,
    /// `publishing`, `waiting` (for its publisher, in the grace) or `ended`.
    state: &'static str,
    publisher: Option<Publisher>,
    viewers: usize,
    index: u64,
    keyframes: u64,
    timestamp: Option<u32>,
    /// Media messages known to be lost on their way here, sent again and left out, and sent by a leg that had lost its
    /// claim.
    missing: u64,
    repeated: u64,
    fenced: u64,
    recorder: Option<&'static str>,
    /// Messages that its recordings lack.
    recorder_lost: Option<u64>,
}

async fn streams(State(handle): State<Handle>) -> impl IntoResponse {
    let streams: Vec<_> = handle
        .hub()
        .streams()
        .into_iter()
        .map(|slot| {
            let state = slot.lock();
            let publisher = state.publisher().map(|(_, leg)| Publisher {
                told: crate::hub::signal_name(leg.told),
                segue: leg.announce.segue,
                bytes: leg.bytes,
            });
            let position = state.log.position();
            let counts = state.log.counts();
            Stream {
                id: slot.id.clone(),
                name: slot.masked.clone(),
                app: slot.key.app.clone(),
                epoch: state.epoch(),
                state: match publisher {
                    _ if state.ended => "ended",
                    Some(_) => "publishing",
                    None => "waiting",
                },
                publisher,
                viewers: state.viewers.len(),
                index: position.index,
                keyframes: position.keyframes,
                timestamp: state.last_timestamp(),
                missing: counts.missing,
                repeated: counts.repeated,
                fenced: counts.fenced,
                recorder: slot.recording.as_ref().map(|recording| recording.state().name()),
                recorder_lost: slot.recording.as_ref().map(|recording| recording.lost()),
            }
        })
        .collect();
    Json(streams)
}

async fn handovers(State(handle): State<Handle>) -> impl IntoResponse {
    Json(handle.hub().handovers())
}

async fn report(State(handle): State<Handle>) -> impl IntoResponse {
    Json(handle.report())
}

/// What `POST drain` takes; what is left out is as the server was configured.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Ask {
    to: Option<String>,
    deadline: Option<f64>,
    settle: Option<f64>,
    over: Option<f64>,
    stream: Option<String>,
    dry_run: bool,
}

fn seconds(value: Option<f64>, default: Duration, name: &str) -> Result<Duration, String> {
    match value {
        None => Ok(default),
        Some(value) if (0.0..=MAX_SECONDS).contains(&value) => Ok(Duration::from_secs_f64(value)),
        Some(_) => Err(format!("{name} is not a number of seconds from 0 to {MAX_SECONDS}")),
    }
}

impl Ask {
    fn request(self, default: Request) -> Result<Request, String> {
        let to = match self.to {
            Some(to) => Some(Target::parse(&to).map_err(|error| format!("to is {error}"))?),
            None => default.to,
        };
        Ok(Request {
            to,
            deadline: seconds(self.deadline, default.deadline, "deadline")?,
            settle: seconds(self.settle, default.settle, "settle")?,
            over: seconds(self.over, default.over, "over")?,
            stream: self.stream,
            dry_run: self.dry_run,
        })
    }
}

async fn drain(State(handle): State<Handle>, body: Bytes) -> Response {
    let ask = if body.is_empty() { Ok(Ask::default()) } else { serde_json::from_slice::<Ask>(&body) };
    let request = match ask {
        Ok(ask) => ask.request(handle.default_drain()),
        Err(problem) => Err(format!("not a drain request: {problem}")),
    };
    match request {
        Ok(request) => answer(handle.drain(request)),
        Err(text) => error(StatusCode::BAD_REQUEST, &text).into_response(),
    }
}

async fn cancel(State(handle): State<Handle>) -> Response {
    answer(handle.cancel_drain())
}

fn answer(result: Result<Report, Refused>) -> Response {
    match result {
        Ok(report) => Json(report).into_response(),
        Err(refused) => {
            let status = match refused {
                Refused::NoStream => StatusCode::NOT_FOUND,
                Refused::Busy | Refused::Drained | Refused::NotDraining => StatusCode::CONFLICT,
            };
            error(status, &refused.to_string()).into_response()
        }
    }
}
