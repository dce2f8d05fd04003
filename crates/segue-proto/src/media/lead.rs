//! Which video track says where a stream can be cut and where a reader can start. Tracks of one stream need not have
//! their keyframes together, so one of them leads. Publisher, server and viewer go by this same rule: they count
//! boundaries alike, and a leg that starts at one side's boundary starts at the other's.

use super::{Content, MediaMessage, TagInfo, TrackKind};
use crate::timestamp::Timestamp;

/// Where the lead's last frame lies farther than this from another track's keyframe, in milliseconds, it has ended.
pub const MAX_SILENCE_MS: u32 = 5_000;

/// The lead track: the lowest numbered that has brought a coded video frame, since E-RTMP v2 recommends 0 for the default
/// track ("Multitrack Media Message Guidelines"). What was only announced, by a sequence header, leads nothing.
///
/// A track that ends must not leave the stream without boundaries: where it brings nothing for [`MAX_SILENCE_MS`], the
/// next that brings a keyframe takes its place, until the lower one comes again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeadTrack {
    lead: Option<u8>,
    /// When it last brought something.
    last: Timestamp,
}

impl LeadTrack {
    /// Its number, once there has been a coded video frame.
    pub fn id(&self) -> Option<u8> {
        self.lead
    }

    /// Whether a leg or a reader may begin with `message`, which comes next: a keyframe of the lead track, or, as long as
    /// there has been no video, any coded audio frame.
    pub fn is_boundary(&self, message: &MediaMessage, info: &TagInfo) -> bool {
        match (message.kind, info.content) {
            (TrackKind::Video, Content::Keyframe) => self.after(message, info).lead == lowest(message, info),
            (TrackKind::Audio, Content::Keyframe) => self.lead.is_none(),
            _ => false,
        }
    }

    /// Takes note of `message`, on the same timeline as those before.
    pub fn passed(&mut self, message: &MediaMessage, info: &TagInfo) {
        *self = self.after(message, info);
    }

    fn after(self, message: &MediaMessage, info: &TagInfo) -> Self {
        if message.kind != TrackKind::Video || !info.is_coded() {
            return self;
        }
        let lowest = lowest(message, info);
        let silent = || message.timestamp.since(self.last).unsigned_abs() > MAX_SILENCE_MS;
        let leads =
            self.lead.is_none() || lowest <= self.lead || (info.content == Content::Keyframe && silent());
        if leads { Self { lead: lowest, last: message.timestamp } } else { self }
    }
}

fn lowest(message: &MediaMessage, info: &TagInfo) -> Option<u8> {
    if info.many { message.tracks().min() } else { Some(info.track) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of these tracks: E-RTMP v2, `ManyTracks` of AVC, or `OneTrack`.
    fn frame(key: bool, tracks: &[u8]) -> MediaMessage {
        let first = if key { 0x96 } else { 0xa6 };
        let payload = match tracks {
            [one] => [&[first, 0x01], b"avc1".as_slice(), &[*one, 0, 0, 0]].concat(),
            many => {
                let each = many.iter().flat_map(|id| [*id, 0, 0, 3, 0, 0, 0]);
                [&[first, 0x11], b"avc1".as_slice(), &each.collect::<Vec<_>>()].concat()
            }
        };
        MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
    }

    fn key(tracks: &[u8]) -> MediaMessage {
        frame(true, tracks)
    }

    fn audio() -> MediaMessage {
        MediaMessage::new(TrackKind::Audio, Timestamp::ZERO, b"\xaf\x01x".as_slice().into())
    }

    /// Passes them all, and tells which were boundaries when they came.
    fn boundaries(lead: &mut LeadTrack, messages: &[MediaMessage]) -> Vec<bool> {
        let each = messages.iter().map(|message| {
            let info = message.info();
            let is_boundary = lead.is_boundary(message, &info);
            lead.passed(message, &info);
            is_boundary
        });
        each.collect()
    }

    #[test]
    fn the_lowest_that_brought_a_frame_leads() {
        let mut lead = LeadTrack::default();
        let header = |id| {
            let payload = [b"\x96\x00avc1".as_slice(), &[id, 1]].concat();
            MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
        };
        let legacy =
            MediaMessage::new(TrackKind::Video, Timestamp::ZERO, b"\x17\x01\0\0\0x".as_slice().into());
        assert_eq!(
            boundaries(&mut lead, &[header(0), audio()]),
            [false, true],
            "an announcement leads nothing"
        );
        assert_eq!(boundaries(&mut lead, &[key(&[3]), key(&[5]), audio()]), [true, false, false]);
        assert_eq!(lead.id(), Some(3));
        assert_eq!(boundaries(&mut lead, &[frame(false, &[1]), key(&[3]), key(&[1])]), [false, false, true]);
        assert_eq!(boundaries(&mut lead, &[legacy, key(&[1]), key(&[0])]), [true, false, true]);
        assert_eq!(lead.id(), Some(0), "in the clear or not, it is track 0");
    }

    /// Whoever sees a stream from any boundary on has the same lead as one who saw all of it.
    #[test]
    fn the_order_of_tracks_in_a_message_makes_no_difference() {
        for shared in [[0, 2], [2, 0]] {
            let mut lead = LeadTrack::default();
            assert_eq!(boundaries(&mut lead, &[key(&shared)]), [true]);
            assert_eq!(lead.id(), Some(0), "{shared:?}");
            assert_eq!(boundaries(&mut lead, &[key(&[2]), key(&[2, 1]), key(&[1, 0])]), [false, false, true]);
        }
    }

    #[test]
    fn a_lead_that_ends_is_followed_by_another() {
        let mut lead = LeadTrack::default();
        let later =
            |message: MediaMessage, ms| MediaMessage { timestamp: Timestamp::from_millis(ms), ..message };
        assert_eq!(boundaries(&mut lead, &[later(key(&[0]), 40), later(key(&[0]), 1000)]), [true; 2]);
        // One that has nothing but keyframes is no reason to move, however many come between the lead's.
        let end = 1000 + MAX_SILENCE_MS;
        assert_eq!(boundaries(&mut lead, &[later(key(&[2]), 1100), later(key(&[2]), end)]), [false; 2]);
        assert_eq!(boundaries(&mut lead, &[later(frame(false, &[2]), end + 1)]), [false], "nowhere to start");
        assert_eq!(
            boundaries(&mut lead, &[later(key(&[2]), end + 1), later(key(&[1]), end + 9)]),
            [true, true]
        );
        assert_eq!(lead.id(), Some(1), "the lower of those that are left");
        assert_eq!(
            boundaries(&mut lead, &[later(key(&[2]), end + 40), later(key(&[0]), end + 80)]),
            [false, true]
        );
        assert_eq!(lead.id(), Some(0), "it comes again");
        // A source that begins anew, far back.
        lead.passed(&later(key(&[0]), 900_000), &key(&[0]).info());
        assert_eq!(boundaries(&mut lead, &[later(key(&[3]), 0)]), [true]);
    }
}
