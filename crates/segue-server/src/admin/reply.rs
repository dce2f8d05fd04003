//! What an error looks like: `{"error": "..."}`.

use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};

pub(super) fn error(status: StatusCode, text: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "error": text })))
}
