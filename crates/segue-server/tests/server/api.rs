//! The admin API over loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use segue_server::{Running, Server, ServerConfig};
use serde_json::Value;

struct Api {
    address: SocketAddr,
    public: SocketAddr,
    handle: segue_server::Handle,
    running: Option<Running>,
}

impl Api {
    fn start() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config =
            ServerConfig { rtmp: any, http: Some(any), admin: Some(any), shards: 1, ..Default::default() };
        let server = Server::bind(config).unwrap();
        let addresses = server.addresses();
        let handle = server.handle();
        let running = Some(server.spawn().unwrap());
        Self { address: addresses.admin.unwrap(), public: addresses.http.unwrap(), handle, running }
    }

    fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let mut socket = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(
            socket,
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        Self::ask(self.address, "GET", path, "", "")
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.handle.stop_now();
        self.running.take().unwrap().join().unwrap();
    }
}

#[test]
fn health_follows_the_drain_on_both_listeners() {
    let api = Api::start();
    for address in [api.address, api.public] {
        let (status, body) = Api::ask(address, "GET", "health", "", "");
        assert_eq!((status, &body["status"]), (200, &"running".into()));
    }
    let (status, body) = Api::ask(api.address, "POST", "drain", "", r#"{"deadline": 1}"#);
    assert_eq!(status, 200, "{body}");
    let report = api.handle.wait_drained(std::time::Duration::from_secs(10));
    assert_eq!(report.state.name(), "drained");
    for address in [api.address, api.public] {
        let (status, body) = Api::ask(address, "GET", "health", "", "");
        assert_eq!((status, &body["status"]), (503, &"drained".into()));
    }
    let (status, body) = api.get("drain");
    assert_eq!((status, &body["state"], &body["phase"]), (200, &"drained".into(), &"done".into()));
    let (status, body) = Api::ask(api.address, "DELETE", "drain", "", "");
    assert_eq!((status, &body["state"]), (200, &"running".into()));
    assert_eq!(Api::ask(api.address, "DELETE", "drain", "", "").0, 409);
    assert_eq!(api.get("health").0, 200);
}

#[test]
fn the_public_listener_has_health_alone() {
    let api = Api::start();
    for path in ["streams", "drain", "handovers", "versions"] {
        let (status, body) = Api::ask(api.public, "GET", path, "", "");
        assert_eq!(status, 404, "{path}");
        assert!(body["error"].is_string());
        assert_eq!(api.get(path).0, 200, "{path}");
    }
    assert_eq!(Api::ask(api.public, "POST", "drain", "", "").0, 404);
}

#[test]
fn wrong_requests_get_one_clear_line() {
    let api = Api::start();
    for (body, status) in [
        ("{", 400),
        (r#"{"too": 1}"#, 400),
        (r#"{"to": "http://b"}"#, 400),
        (r#"{"deadline": -1}"#, 400),
        (r#"{"settle": 1e9}"#, 400),
        (r#"{"stream": "live/none"}"#, 404),
    ] {
        let (got, answer) = Api::ask(api.address, "POST", "drain", "", body);
        assert_eq!(got, status, "{body}");
        let text = answer["error"].as_str().unwrap();
        assert!(!text.is_empty() && !text.contains('\n'), "{text}");
    }
    assert_eq!(api.get("nothing").0, 404);
    assert_eq!(Api::ask(api.address, "PUT", "drain", "", "").0, 405);
    let (status, body) = Api::ask(api.address, "POST", "drain", "", r#"{"dry_run": true}"#);
    assert_eq!((status, &body["dry_run"], &body["state"]), (200, &true.into(), &"running".into()));
}

#[test]
fn pages_of_another_origin_are_refused() {
    let api = Api::start();
    let (status, _) = Api::ask(api.address, "POST", "drain", "Origin: http://evil.example\r\n", "");
    assert_eq!(status, 403);
    assert_eq!(api.get("health").0, 200);
    let own = format!("Origin: http://{}\r\n", api.address);
    assert_eq!(Api::ask(api.address, "GET", "streams", &own, "").0, 200);
}
