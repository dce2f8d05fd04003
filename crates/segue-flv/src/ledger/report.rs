//! What the ledger found: the counts, their two forms (text and JSON, of the same names), and the verdict.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Options, Track};

/// The counts of one comparison, in messages unless a name says otherwise.
///
/// As text, [`Display`](fmt::Display) gives a line `name value` each; a value of several numbers has spaces between,
/// `-` stands for none or unknown. As JSON it is one object of the same names, lists as arrays, unknown as null.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Media messages of the source.
    pub sent: u64,
    /// Media messages of all legs, repeats included.
    pub received: u64,
    /// Sent, not received: between the first and the last received in the source's order, or of all.
    pub missing: u64,
    /// Received again, and not in an overlap.
    pub duplicated: u64,
    /// In a contiguous run at a leg's start that repeats, identically, the previous leg's tail.
    pub overlap: u64,
    /// Received behind the furthest that its track, or one of its tracks, had reached.
    pub reordered: u64,
    /// Of a track and timestamp that was sent, but of another payload.
    pub altered: u64,
    /// Never sent, neither the identity nor the track and timestamp.
    pub extra: u64,
    /// The longest hole, in milliseconds on the source's timeline: in any one track from the first of consecutive
    /// missing messages to the next received one, or at the end to where one more message would be due. 0 if nothing
    /// is missing.
    pub gap_ms: u64,
    /// How many tracks of the source have no message among the received.
    pub absent_tracks: u64,
    /// By leg, how many milliseconds its timestamps are ahead of the source's; `None` if nothing in it matches.
    pub offsets_ms: Vec<Option<i32>>,
    /// From each leg to the next, by how much the offset changes.
    pub steps_ms: Vec<Option<i32>>,
    /// The counts of each track: `sent_video`, `received_video`, `missing_video`, `sent_video_1`, ... A message of many
    /// tracks counts for each of them, so that these may add up to more than the totals.
    pub tracks: BTreeMap<Track, TrackCounts>,
    no_overlap: bool,
}

/// The counts of one track.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrackCounts {
    /// As [`Report::sent`].
    pub sent: u64,
    /// As [`Report::received`].
    pub received: u64,
    /// As [`Report::missing`].
    pub missing: u64,
}

impl Report {
    pub(super) fn new(options: Options, offsets: Vec<Option<u32>>) -> Self {
        let steps = offsets.windows(2).map(|pair| match pair {
            [Some(a), Some(b)] => Some(b.wrapping_sub(*a) as i32),
            _ => None,
        });
        Self {
            sent: 0,
            received: 0,
            missing: 0,
            duplicated: 0,
            overlap: 0,
            reordered: 0,
            altered: 0,
            extra: 0,
            gap_ms: 0,
            absent_tracks: 0,
            steps_ms: steps.collect(),
            offsets_ms: offsets.into_iter().map(|offset| offset.map(|ms| ms as i32)).collect(),
            tracks: BTreeMap::new(),
            no_overlap: options.no_overlap,
        }
    }

    /// Whether everything due was received once, in order and unchanged, and at least something was.
    pub fn is_whole(&self) -> bool {
        let faults =
            [self.missing, self.duplicated, self.reordered, self.altered, self.extra, self.absent_tracks];
        self.received > 0 && faults.iter().all(|n| *n == 0) && !(self.no_overlap && self.overlap > 0)
    }

    /// The contract's exit code: 0 if it [is whole](Self::is_whole), else 3.
    pub fn exit_code(&self) -> u8 {
        if self.is_whole() { 0 } else { 3 }
    }

    /// Names and values, in the order of both forms.
    fn fields(&self) -> impl Iterator<Item = (String, Value<'_>)> {
        let counts = [
            ("sent", self.sent),
            ("received", self.received),
            ("missing", self.missing),
            ("duplicated", self.duplicated),
            ("overlap", self.overlap),
            ("reordered", self.reordered),
            ("altered", self.altered),
            ("extra", self.extra),
            ("gap_ms", self.gap_ms),
            ("absent_tracks", self.absent_tracks),
        ];
        let lists = [("offsets_ms", &self.offsets_ms), ("steps_ms", &self.steps_ms)];
        let tracks = self.tracks.iter().flat_map(|(track, counts)| {
            [("sent", counts.sent), ("received", counts.received), ("missing", counts.missing)]
                .map(|(name, n)| (format!("{name}_{track}"), Value::Count(n)))
        });
        let counts = counts.into_iter().map(|(name, n)| (name.to_owned(), Value::Count(n)));
        let lists = lists.into_iter().map(|(name, list)| (name.to_owned(), Value::Milliseconds(list)));
        counts.chain(lists).chain(tracks)
    }
}

enum Value<'a> {
    Count(u64),
    Milliseconds(&'a [Option<i32>]),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.fields() {
            f.write_str(&name)?;
            match value {
                Value::Count(n) => write!(f, " {n}")?,
                Value::Milliseconds([]) => f.write_str(" -")?,
                Value::Milliseconds(list) => {
                    for item in list {
                        match item {
                            Some(ms) => write!(f, " {ms}")?,
                            None => f.write_str(" -")?,
                        }
                    }
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields() {
            match value {
                Value::Count(n) => map.serialize_entry(&name, &n)?,
                Value::Milliseconds(list) => map.serialize_entry(&name, list)?,
            }
        }
        map.end()
    }
}
