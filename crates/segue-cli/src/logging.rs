//! Logs: one event a line on stderr, never coloured, control characters escaped, so that a name or a version string
//! that a peer sent cannot forge a line.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::exit::one_line;

/// The variable that says what is logged, in `tracing`'s filter syntax.
const VARIABLE: &str = "SEGUE_LOG";

/// Starts logging at `default` and above, unless `SEGUE_LOG` says otherwise.
pub(crate) fn start(default: &str) {
    let filter = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = match filter.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => filter,
        Some(Err(_)) => {
            crate::exit::complain(&format!("{VARIABLE} is not a log filter; logging {default}"));
            EnvFilter::new(default)
        }
        None => EnvFilter::new(default),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Lines).init();
}

struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<io::Stderr>;
    fn make_writer(&'a self) -> Self::Writer {
        Line(io::stderr())
    }
}

/// Writes each event, which arrives as one buffer, as one line.
struct Line<W>(W);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = one_line(text.strip_suffix('\n').unwrap_or(&text));
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut out = Line(Vec::new());
        out.write_all(b"INFO name=\x1b[31mx\r\nERROR forged\n").unwrap();
        assert_eq!(out.0, b"INFO name=\\u{1b}[31mx\\r\\nERROR forged\n");
    }
}
