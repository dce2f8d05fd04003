//! `segue verify`: compares what was received with what was sent. The comparison is `segue_flv`'s ledger; this file
//! owns the flags and the form of the result.

use std::path::PathBuf;

use segue_flv::ledger::Options;
use segue_flv::verify::files;
use segue_proto::TrackKind;

use crate::exit::{Exit, complain, print};

/// Compare recordings with what was sent, message by message.
///
/// SENT is the source; each RECEIVED is a leg, in order: a recording, or what a viewer saved. Prints a count a line.
/// Exits 0 if every message is there once, in order and unchanged; 3 if not; 1 if a file cannot be read.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What was sent, as FLV
    #[arg(value_name = "SENT.flv")]
    sent: PathBuf,

    /// What was received, one file a leg, in order
    #[arg(value_name = "RECEIVED.flv", required = true)]
    received: Vec<PathBuf>,

    /// Everything sent must be there, not only what lies between the first and the last received
    #[arg(long)]
    whole: bool,

    /// A leg that repeats the tail of the one before is a fault
    #[arg(long)]
    no_overlap: bool,

    /// Each leg's timestamps have an offset of their own, as those of a publisher that restarted them
    #[arg(long)]
    offset_per_leg: bool,

    /// Compare only the tracks of one kind
    #[arg(long, value_enum, value_name = "KIND")]
    track: Option<Kind>,

    /// Print the counts as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Audio,
    Video,
    Data,
}

impl From<Kind> for TrackKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Audio => Self::Audio,
            Kind::Video => Self::Video,
            Kind::Data => Self::Data,
        }
    }
}

/// Compares, prints, judges.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = Options {
        whole: args.whole,
        no_overlap: args.no_overlap,
        offset_per_leg: args.offset_per_leg,
        track: args.track.map(TrackKind::from),
    };
    let outcome = files(options, &args.sent, &args.received)?;
    for (path, bytes) in &outcome.truncated {
        complain(&format!("{} ends inside a tag: its last {bytes} bytes are not compared", path.display()));
    }
    if args.json {
        print(format_args!("{}\n", serde_json::to_string_pretty(&outcome.report)?))?;
    } else {
        print(&outcome.report)?;
    }
    Ok(if outcome.report.is_whole() { Exit::Done } else { Exit::Lost })
}
