//! What `publish` and `play` have in common: how they present themselves to servers, where they may be sent, and how
//! what happens to them is told to a person and to `--report`.

use std::path::PathBuf;

use segue_proto::caps::Announce;
use segue_proto::client::RedirectPolicy;

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
        let (reconnect, go_away) = match self.announce {
            Dialects::Both => (true, true),
            Dialects::Reconnect => (true, false),
            Dialects::GoAway => (false, true),
            Dialects::None => (false, false),
        };
        Announce { reconnect, go_away, segue: !self.plain }
    }
}

/// The dialects of the signal.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Dialects {
    Both,
    Reconnect,
    GoAway,
    None,
}
