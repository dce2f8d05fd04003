//! What `publish` and `play` have in common: how they present themselves to servers, where they may be sent, and how
//! what happens to them is told to a person and to `--report`.

use std::path::PathBuf;

use segue_net::Event;
use segue_proto::caps::Announce;
use segue_proto::client::{Ending, Outcome, RedirectPolicy};
use segue_proto::handover::record::{HandoverResult, Record};

use crate::dialects::Dialects;
use crate::exit::{Exit, complain};
use crate::progress::Progress;

/// Flags of a client.
#[derive(clap::Args, Debug)]
pub(crate) struct ClientArgs {
    /// Which hand-over signals to announce: E-RTMP's Reconnect Request, RTMP Go Away, both or none
    #[arg(long, value_enum, default_value_t = Dialects::Both, value_name = "DIALECT")]
    announce: Dialects,

    /// Leave out Segue's own extension (leg headers, last acknowledgement), as a foreign client would
    #[arg(long)]
    plain: bool,

    /// Where a server may send the stream: same-host (the URL's own, any port), any, or a list of hosts
    #[arg(long, default_value = "same-host", value_name = "same-host|any|HOST,...")]
    pub(crate) redirect: RedirectPolicy,

    /// Write the hand-over records to FILE, as a JSON array
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

impl ClientArgs {
    /// What `connect` announces.
    pub(crate) fn announce(&self) -> Announce {
        let (reconnect, go_away) = self.announce.reconnect_and_go_away();
        Announce { reconnect, go_away, segue: !self.plain }
    }
}

/// Tells a person what happened: a line each, above the progress bar.
pub(crate) fn listener(progress: Progress) -> Box<dyn FnMut(Event) + Send> {
    let mut last = String::new();
    Box::new(move |event| match event {
        // What is tried again and again is said once.
        Event::Notice(notice) if notice.0 == last => {}
        Event::Notice(notice) => {
            progress.say(&notice.0);
            last = notice.0;
        }
        Event::Handover(record) => {
            last.clear();
            if let Ok(json) = serde_json::to_string(&record) {
                tracing::info!(record = %json, "hand-over");
            }
            progress.say(&describe(&record));
        }
        _ => {}
    })
}

/// A hand-over in one line.
pub(crate) fn describe(record: &Record) -> String {
    let unknown = || "?".to_owned();
    let number = |n: Option<u64>| n.map_or_else(unknown, |n| n.to_string());
    let server = |name: &Option<String>| name.clone().unwrap_or_else(unknown);
    let what = match record.result {
        HandoverResult::Moved => format!("moved from {} to {}", server(&record.from), server(&record.to)),
        HandoverResult::Stayed => format!("stayed on {}", server(&record.from)),
        HandoverResult::Ended => format!("ended on {}", server(&record.from)),
        HandoverResult::Cut => format!("was cut by {}", server(&record.from)),
        HandoverResult::Lost => format!("lost {} and found no other server", server(&record.from)),
    };
    let late = record.delay_ms.map_or_else(String::new, |ms| format!(", its boundary {ms} ms late"));
    format!("the stream {what}, {} missing{late}", number(record.missing))
}

/// The exit code of an end; what went wrong is said on stderr.
pub(crate) fn judge(outcome: &Outcome) -> Exit {
    let (text, without_loss) = match &outcome.ending {
        Ending::Complete => (None, Exit::Done),
        // It never began: there is nothing that could be lost.
        Ending::Failed(why) => {
            complain(why);
            return Exit::Failed;
        }
        Ending::Lost(why) => (Some(why.as_str()), Exit::Failed),
        Ending::Aborted => (Some("aborted"), Exit::Failed),
    };
    if let Some(text) = text {
        complain(text);
    }
    if outcome.missing == 0 {
        return without_loss;
    }
    complain(&format!("{} messages are lost", outcome.missing));
    Exit::Lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_3_and_failure_without_loss_is_1() {
        let exit = |ending, missing| judge(&Outcome { ending, confirmed: None, missing });
        assert_eq!(exit(Ending::Complete, 0), Exit::Done);
        assert_eq!(exit(Ending::Complete, 1), Exit::Lost);
        assert_eq!(exit(Ending::Failed("x".into()), 0), Exit::Failed);
        assert_eq!(exit(Ending::Failed("x".into()), 7), Exit::Failed);
        assert_eq!(exit(Ending::Lost("x".into()), 0), Exit::Failed);
        assert_eq!(exit(Ending::Lost("x".into()), 7), Exit::Lost);
        assert_eq!(exit(Ending::Aborted, 0), Exit::Failed);
    }
}
