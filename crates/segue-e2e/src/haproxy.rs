//! Debian's HAProxy in front of two servers, as an operator would have it: TCP mode, health checks of the public
//! listener, the second server used while the first is not ready.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::{Bench, wait_for};
use crate::process::{Proc, Stdout};

/// `inter 300ms fall 2 rise 1`: after this much a server's change of mind is known.
pub const NOTICED: Duration = Duration::from_millis(900);

/// A running HAProxy.
#[derive(Debug)]
pub struct Haproxy {
    /// The process.
    pub proc: Proc,
    /// Where it takes RTMP.
    pub addr: SocketAddr,
    stats: SocketAddr,
}

/// A server behind it: where RTMP goes (the server itself or a fault proxy before it) and where its health is asked.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// Where connections go.
    pub rtmp: SocketAddr,
    /// Where `/api/v1/health` is.
    pub http: SocketAddr,
}

impl Haproxy {
    /// Starts it with `first` and, when that is not ready, `second`.
    pub fn start(bench: &Bench, name: &str, first: Backend, second: Backend) -> Self {
        let stats = free_port();
        // The socket is bound here and handed on as descriptor 0, so that nobody else can take the port meanwhile.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let server = |name: &str, b: Backend, more: &str| {
            format!(
                "    server {name} {} check port {} inter 300ms fall 2 rise 1 {more}\n",
                b.rtmp,
                b.http.port()
            )
        };
        let config = format!(
            "global\n    maxconn 200\n\
             defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 1h\n    timeout server 1h\n    \
             timeout check 2s\n    retries 0\n    option redispatch\n\
             frontend rtmp\n    bind fd@0\n    default_backend segue\n\
             frontend stats\n    bind {stats}\n    mode http\n    stats enable\n    stats uri /stats\n\
             backend segue\n    option httpchk GET /api/v1/health\n    http-check expect status 200\n{}{}",
            server("first", first, ""),
            server("second", second, "backup"),
        );
        let path = bench.path(&format!("{name}.cfg"));
        fs::write(&path, config).expect("HAProxy's configuration");
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(&path);
        let proc = Proc::start_with(bench, name, command, Stdio::from(OwnedFd::from(listener)), Stdout::File);
        let mut haproxy = Self { proc, addr, stats };
        wait_for("HAProxy takes connections", Duration::from_secs(10), || {
            assert!(haproxy.proc.ended().is_none(), "HAProxy ended\n{}", haproxy.proc.stderr());
            TcpStream::connect(haproxy.stats).ok().map(drop)
        });
        haproxy
    }

    /// `rtmp://ADDR/APP/NAME`.
    pub fn url(&self, app_and_name: &str) -> String {
        format!("rtmp://{}/{app_and_name}", self.addr)
    }

    /// Waits until its checks see the server `first` or `second` as `UP` or `DOWN`.
    pub fn wait_sees(&self, server: &str, state: &str) {
        let what = format!("HAProxy sees {server} {state}");
        wait_for(&what, Duration::from_secs(10), || {
            let csv = crate::http::request(self.stats, "GET", "/stats;csv", "").ok()?.body;
            let line = csv.lines().find(|l| l.starts_with(&format!("segue,{server},")))?;
            (line.split(',').nth(17)? == state).then_some(())
        });
    }
}

/// A port that was free a moment ago, for listeners that only their own tests ask.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}
