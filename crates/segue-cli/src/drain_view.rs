//! What a drain's report looks like: the parts of the admin API's JSON that a person is shown, as lines and as an exit
//! code. Fields that this version does not know are carried through `--json` untouched.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use crate::exit::{Exit, one_line};

/// `GET /api/v1/drain`, as far as it is shown.
#[derive(Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(default)]
pub(crate) struct View {
    /// The server's state: `running`, `draining`, `drained`.
    pub(crate) state: String,
    /// The drain's: `none`, `telling`, `waiting`, `cutting`, `done`.
    pub(crate) phase: String,
    /// Seconds from the command to the cut.
    pub(crate) deadline: f64,
    /// Seconds since the command.
    pub(crate) elapsed: f64,
    /// A line a stream.
    pub(crate) streams: Vec<StreamView>,
    /// Publishers, counted.
    pub(crate) publishers: Publishers,
    /// Viewers that could not follow.
    pub(crate) viewers_ended: u64,
}

/// One stream.
#[derive(Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(default)]
pub(crate) struct StreamView {
    id: String,
    name: String,
    told: String,
    result: Option<String>,
    missing: Option<u64>,
    delay_ms: Option<u64>,
}

/// Publishers by what became of them.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(default)]
pub(crate) struct Publishers {
    total: u64,
    moved: u64,
    ended: u64,
    cut: u64,
    lost: u64,
    waiting: u64,
}

impl View {
    /// Reads the API's answer.
    pub(crate) fn parse(body: &Value) -> anyhow::Result<Self> {
        Ok(Self::deserialize(body)?)
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == "done" || self.state == "drained"
    }

    /// Publishers that have left, and all.
    pub(crate) fn left(&self) -> (u64, u64) {
        (self.publishers.total.saturating_sub(self.publishers.waiting), self.publishers.total)
    }

    /// One line on how it stands.
    pub(crate) fn standing(&self) -> String {
        let (left, total) = self.left();
        format!(
            "{}: {left} of {total} publishers have left, {:.1} s of {:.0} s",
            self.phase, self.elapsed, self.deadline
        )
    }

    /// A line a stream, then the sum.
    pub(crate) fn lines(&self) -> String {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let mut text = String::new();
        for stream in &self.streams {
            let _ = writeln!(
                text,
                "{} {} told={} result={} missing={} delay_ms={}",
                one_line(&stream.id),
                one_line(&stream.name),
                one_line(&stream.told),
                one_line(stream.result.as_deref().unwrap_or("-")),
                number(stream.missing),
                number(stream.delay_ms),
            );
        }
        let Publishers { total, moved, ended, cut, lost, .. } = self.publishers;
        let _ = writeln!(
            text,
            "{}: {total} streams, {moved} moved, {ended} ended, {cut} cut, {lost} lost; {} viewers ended",
            one_line(&self.state),
            self.viewers_ended
        );
        text
    }

    /// 0 if every publisher moved or ended by itself without loss, 3 if one was cut or lost something, 1 if one is
    /// where it was.
    pub(crate) fn exit(&self) -> Exit {
        let result = |name: &str| self.streams.iter().any(|stream| stream.result.as_deref() == Some(name));
        let missing = self.streams.iter().any(|stream| stream.missing.is_some_and(|n| n > 0));
        if self.publishers.cut > 0 || self.publishers.lost > 0 || missing || result("cut") || result("lost") {
            Exit::Lost
        } else if self.publishers.waiting > 0 || result("stayed") {
            Exit::Failed
        } else {
            Exit::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(result: Option<&str>, missing: Option<u64>) -> View {
        let count = |name| u64::from(result == Some(name));
        let body = json!({
            "state": "drained", "phase": "done", "to": null, "deadline": 25.0, "elapsed": 3.25, "dry_run": false,
            "streams": [{"id": "0123456789abcdef", "name": "ab…", "told": "go-away", "result": result,
                         "missing": missing, "delay_ms": 12}],
            "publishers": {"total": 1, "moved": count("moved"), "ended": count("ended"), "cut": count("cut"),
                           "lost": count("lost"), "waiting": count("stayed")},
            "viewers_ended": 2, "of_a_later_version": [],
        });
        View::parse(&body).unwrap()
    }

    #[test]
    fn exit_codes_follow_the_worst_result() {
        for (result, missing, exit) in [
            ("moved", None, Exit::Done),
            ("moved", Some(0), Exit::Done),
            ("moved", Some(1), Exit::Lost),
            ("ended", None, Exit::Done),
            ("cut", None, Exit::Lost),
            ("lost", Some(3), Exit::Lost),
            ("stayed", None, Exit::Failed),
        ] {
            assert_eq!(report(Some(result), missing).exit(), exit, "{result} {missing:?}");
        }
        assert_eq!(View::default().exit(), Exit::Done);
    }

    #[test]
    fn unknown_is_a_dash_and_never_nought() {
        let view = report(Some("moved"), None);
        assert!(view.is_over());
        assert_eq!(
            view.lines(),
            "0123456789abcdef ab… told=go-away result=moved missing=- delay_ms=12\n\
             drained: 1 streams, 1 moved, 0 ended, 0 cut, 0 lost; 2 viewers ended\n"
        );
        assert_eq!(view.standing(), "done: 1 of 1 publishers have left, 3.2 s of 25 s");
    }
}
