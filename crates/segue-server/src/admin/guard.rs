//! Who may talk to the API: no page of another origin. Names and tokens come with authentication.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::reply::error;

/// Refuses a request that a browser sent for a page of another origin, or that names no host.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    if is_same_origin(request.headers()) {
        next.run(request).await
    } else {
        error(StatusCode::FORBIDDEN, "cross-origin requests are refused").into_response()
    }
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().ok());
    let Some(Some(host)) = text(header::HOST) else { return false };
    match text(header::ORIGIN) {
        None => true,
        Some(origin) => origin
            .and_then(|origin| origin.parse::<Uri>().ok())
            .and_then(|origin| Some(origin.authority()?.as_str().eq_ignore_ascii_case(host)))
            .unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_origin_or_none() {
        let check = |pairs: &[(header::HeaderName, &'static str)]| {
            let headers = pairs.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect();
            is_same_origin(&headers)
        };
        assert!(check(&[(header::HOST, "localhost:1985")]));
        assert!(check(&[(header::HOST, "localhost:1985"), (header::ORIGIN, "http://LOCALHOST:1985")]));
        assert!(!check(&[(header::HOST, "localhost:1985"), (header::ORIGIN, "http://evil.example")]));
        assert!(!check(&[(header::HOST, "localhost:1985"), (header::ORIGIN, "null")]));
        assert!(!check(&[]));
    }
}
