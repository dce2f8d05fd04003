//! The configuration in force: what a reader who comes later must be sent before media. A server keeps it beside its
//! log, a publisher beside its replay buffer.

use bytes::Bytes;

use super::{Config, Content, MediaMessage, TagInfo, TrackKind};

/// The configuration in force at a point of the stream: for each kind of it and each track the newest message, in an
/// order in which a reader can take them, metadata first.
///
/// A multitrack message may configure several tracks at once. It is kept whole, byte for byte, as long as it is the
/// newest for any of its tracks; messages that supersede a part of it come after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigSet {
    /// Sorted by `group`, and inside a group in the order of arrival wherever messages share a track. The slots of one
    /// message are neighbours.
    slots: Vec<Slot>,
}

/// What configures one track, or all of them: `track` is 0 then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    group: (Config, TrackKind),
    track: u8,
    message: MediaMessage,
    /// Whether the message configures other tracks too, or did.
    many: bool,
}

impl Slot {
    fn is(&self, other: &Self) -> bool {
        self.group == other.group && self.track == other.track
    }
}

/// What a slot costs beside its payload, its share of the list and of the allocation around it included.
const SLOT_COST: usize = 128;

/// Whether they are equal; those of one message are known to be without a look at their bytes.
fn same(a: &Bytes, b: &Bytes) -> bool {
    (a.as_ptr() == b.as_ptr() && a.len() == b.len()) || a == b
}

impl ConfigSet {
    /// Tracks that are remembered at most, all kinds of configuration together; E-RTMP allows 256 of audio and of video
    /// each, real streams have a handful.
    pub const MAX: usize = 64;
    /// Bytes of payload that are remembered at most, all messages together. Real ones have some kilobytes; the longest are
    /// metadata with the index of a long file.
    pub const MAX_BYTES: usize = 1 << 20;

    /// The messages, metadata first, then sequence headers and what belongs to them.
    pub fn messages(&self) -> impl Iterator<Item = &MediaMessage> {
        self.each(self.slots.iter())
    }

    /// The messages that `known` lacks or has otherwise: what a reader must be sent when it comes from there.
    pub fn changed_since<'a>(&'a self, known: &'a Self) -> impl Iterator<Item = &'a MediaMessage> {
        let differs = |slot: &Slot| {
            !known.slots.iter().any(|k| k.is(slot) && same(&k.message.payload, &slot.message.payload))
        };
        // A message of many tracks that must be sent sets back those of its tracks that have a newer one, known or not:
        // that comes again behind it.
        let mut again = None;
        self.each(self.slots.iter().filter(move |slot| {
            let send = again == Some(slot.group) || differs(slot);
            if send && slot.many {
                again = Some(slot.group);
            }
            send
        }))
    }

    /// The slots' messages, each once.
    fn each<'a>(&'a self, slots: impl Iterator<Item = &'a Slot>) -> impl Iterator<Item = &'a MediaMessage> {
        let mut last: Option<&Slot> = None;
        slots
            .filter(move |slot| {
                let same = last.replace(slot).is_some_and(|last| {
                    last.many
                        && last.group == slot.group
                        && same(&last.message.payload, &slot.message.payload)
                });
                !same
            })
            .map(|slot| &slot.message)
    }

    /// Takes a configuration message. Returns whether anything changed: an identical repeat is no change, and a
    /// message that is no configuration, or whose tracks do not fit below [`MAX`](Self::MAX) or whose bytes below [`MAX_BYTES`](Self::MAX_BYTES), is not taken:
    /// what was in force stays.
    pub fn set(&mut self, message: &MediaMessage, info: &TagInfo) -> bool {
        let Content::Config(config) = info.content else { return false };
        if config == Config::LegHeader {
            return false;
        }
        let group = (config, message.kind);
        let mut slots: Vec<Slot> = Vec::new();
        for track in message.tracks() {
            if slots.iter().all(|slot| slot.track != track) {
                slots.push(Slot { group, track, message: message.clone(), many: info.many });
            }
        }
        let olds: Vec<Option<usize>> =
            slots.iter().map(|slot| self.slots.iter().position(|s| s.is(slot))).collect();
        let all = |test: fn(&Slot, &Slot) -> bool| {
            slots
                .iter()
                .zip(&olds)
                .all(|(slot, old)| old.and_then(|at| self.slots.get(at)).is_some_and(|old| test(old, slot)))
        };
        let changed = !all(|old, new| same(&old.message.payload, &new.message.payload));
        let others = || self.slots.iter().filter(|s| !slots.iter().any(|slot| slot.is(s)));
        let bytes = payload_bytes(self.each(others())).saturating_add(message.payload.len());
        if changed && bytes > Self::MAX_BYTES {
            return false;
        }
        if !changed || all(|old, new| !old.many && !new.many) {
            for (slot, at) in slots.into_iter().zip(olds) {
                if let Some(place) = at.and_then(|at| self.slots.get_mut(at)) {
                    *place = slot;
                }
            }
            return changed;
        }
        if others().count().saturating_add(slots.len()) > Self::MAX {
            return false;
        }
        self.slots.retain(|s| !slots.iter().any(|slot| slot.is(s)));
        let at = self.slots.partition_point(|s| s.group <= group);
        self.slots.splice(at..at, slots);
        true
    }

    /// Bytes that it keeps: payloads, each once, and what each track costs beside.
    pub fn bytes(&self) -> usize {
        payload_bytes(self.messages()).saturating_add(self.slots.len().saturating_mul(SLOT_COST))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

fn payload_bytes<'a>(messages: impl Iterator<Item = &'a MediaMessage>) -> usize {
    messages.fold(0, |sum, message| sum.saturating_add(message.payload.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use crate::timestamp::Timestamp;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn message(kind: TrackKind, payload: &'static [u8]) -> MediaMessage {
        MediaMessage::new(kind, Timestamp::ZERO, Bytes::from_static(payload))
    }

    fn set(headers: &mut ConfigSet, m: &MediaMessage) -> bool {
        headers.set(m, &m.info())
    }

    #[test]
    fn metadata_comes_first_and_repeats_change_nothing() {
        let video = message(TrackKind::Video, b"\x17\x00\0\0\0v1");
        let audio = message(TrackKind::Audio, b"\xaf\x00a1");
        let meta = message(TrackKind::Data, b"\x02\x00\x0aonMetaData\x05");
        let mut headers = ConfigSet::default();
        assert!(set(&mut headers, &video) && set(&mut headers, &audio) && set(&mut headers, &meta));
        assert!(!set(&mut headers, &audio));
        let kinds: Vec<_> = headers.messages().map(|m| m.kind).collect();
        assert_eq!(kinds, [TrackKind::Data, TrackKind::Audio, TrackKind::Video]);

        let before = headers.clone();
        assert!(set(&mut headers, &message(TrackKind::Video, b"\x17\x00\0\0\0v2")));
        let changed: Vec<_> = headers.changed_since(&before).map(|m| m.payload.clone()).collect();
        assert_eq!(changed, [&b"\x17\x00\0\0\0v2"[..]]);
        assert_eq!(headers.changed_since(&ConfigSet::default()).count(), 3);
    }

    #[test]
    fn tracks_have_headers_of_their_own_up_to_the_bound() {
        let mut headers = ConfigSet::default();
        for track in 0..ConfigSet::MAX {
            let m = MediaMessage::new(
                TrackKind::Video,
                Timestamp::ZERO,
                [&b"\x96\x00avc1"[..], &[track as u8, 1]].concat().into(),
            );
            assert!(set(&mut headers, &m));
        }
        let past = MediaMessage::new(TrackKind::Audio, Timestamp::ZERO, b"\xaf\x00"[..].into());
        assert!(!set(&mut headers, &past));
        assert_eq!(headers.messages().count(), ConfigSet::MAX);
    }

    /// E-RTMP v2: `SequenceStart` and `MPEG2TSSequenceStart` exclude each other.
    #[test]
    fn a_descriptor_and_a_record_replace_each_other() {
        let record = message(TrackKind::Video, b"\x90av01\x81\x00\x0c\x00");
        let descriptor = message(TrackKind::Video, b"\x95av01\x80\x04AV01");
        let mut headers = ConfigSet::default();
        for newer in [&record, &descriptor, &record] {
            assert!(set(&mut headers, newer));
            assert_eq!(headers.messages().collect::<Vec<_>>(), [newer]);
        }
    }

    /// `SequenceStart` of these tracks, all of version `v`, in one message.
    fn start(tracks: &[u8], v: u8) -> MediaMessage {
        let parts: Vec<Vec<u8>> = tracks.iter().map(|&id| vec![id, 0, 0, 2, id, v]).collect();
        let payload = match tracks {
            [id] => [&b"\x96\x00avc1"[..], &[*id, *id, v]].concat(),
            _ => [&b"\x96\x10avc1"[..], &parts.concat()].concat(),
        };
        MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
    }

    fn payloads<'a>(messages: impl Iterator<Item = &'a MediaMessage>) -> Vec<Bytes> {
        messages.map(|m| m.payload.clone()).collect()
    }

    fn of(messages: &[&MediaMessage]) -> Vec<Bytes> {
        payloads(messages.iter().copied())
    }

    #[test]
    fn a_message_of_many_tracks_stays_whole_while_it_is_the_newest_for_any() {
        let (all, one, two) = (start(&[0, 1, 2], 1), start(&[1], 2), start(&[2, 0], 3));
        let mut headers = ConfigSet::default();
        assert!(set(&mut headers, &all));
        assert!(!set(&mut headers, &all), "a repeat");
        assert_eq!(payloads(headers.messages()), of(&[&all]), "once, not once a track");
        assert!(set(&mut headers, &one));
        assert_eq!(payloads(headers.messages()), of(&[&all, &one]), "the newer behind it");
        assert!(!set(&mut headers, &one));
        assert!(set(&mut headers, &two));
        assert_eq!(payloads(headers.messages()), of(&[&one, &two]), "no track needs the first any more");
        assert!(set(&mut headers, &all), "back to what was");
        assert_eq!(payloads(headers.messages()), of(&[&all]));
    }

    #[test]
    fn what_a_message_of_many_tracks_sets_back_comes_again_behind_it() {
        let (one, all, again) = (start(&[1], 1), start(&[0, 1], 2), start(&[1], 1));
        let audio = message(TrackKind::Audio, b"\xaf\x00a1");
        let mut headers = ConfigSet::default();
        assert!(set(&mut headers, &audio) && set(&mut headers, &one));
        let known = headers.clone();
        assert!(set(&mut headers, &all) && set(&mut headers, &again));
        assert_eq!(payloads(headers.changed_since(&known)), of(&[&all, &again]));
        assert_eq!(payloads(headers.changed_since(&headers)), of(&[]));
    }

    #[test]
    fn many_tracks_fit_or_are_not_taken() {
        let tracks: Vec<u8> = (0..=ConfigSet::MAX as u8).collect();
        let mut headers = ConfigSet::default();
        assert!(!set(&mut headers, &start(&tracks, 1)), "one too many");
        assert!(headers.is_empty());
        assert!(set(&mut headers, &start(&tracks[1..], 1)));
        assert!(set(&mut headers, &start(&tracks[1..], 2)), "the same tracks take no more room");
        assert!(!set(&mut headers, &start(&[0, 1], 3)));
        assert_eq!(headers.messages().count(), 1);
    }

    /// A sequence header of track `track`, so long.
    fn long(track: u8, len: usize) -> MediaMessage {
        let mut payload = [&b"\x96\x00avc1"[..], &[track]].concat();
        payload.resize(len, track);
        MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
    }

    #[test]
    fn bytes_fit_or_are_not_taken() {
        let half = ConfigSet::MAX_BYTES / 2;
        let mut headers = ConfigSet::default();
        assert!(set(&mut headers, &long(0, half)) && set(&mut headers, &long(1, half)), "at the bound");
        assert_eq!(headers.bytes(), ConfigSet::MAX_BYTES + 2 * SLOT_COST);
        let full = headers.clone();
        assert!(!set(&mut headers, &long(1, half + 1)), "one past it");
        assert!(!set(&mut headers, &long(2, 7)));
        assert_eq!(headers, full, "what was in force stays");
        assert!(set(&mut headers, &long(1, 7)) && set(&mut headers, &long(2, half - 7)));
        assert!(!set(&mut ConfigSet::default(), &long(0, ConfigSet::MAX_BYTES + 1)));
    }

    #[test]
    fn a_message_of_many_tracks_counts_once() {
        let all = start(&[0, 1, 2], 1);
        let mut headers = ConfigSet::default();
        assert!(set(&mut headers, &all));
        assert_eq!(headers.bytes(), all.payload.len() + 3 * SLOT_COST);
    }

    #[test]
    fn leg_headers_and_frames_are_not_configuration_to_keep() {
        let mut headers = ConfigSet::default();
        assert!(!set(&mut headers, &message(TrackKind::Data, b"\x02\x00\x0aonSegueLeg\x05")));
        assert!(!set(&mut headers, &message(TrackKind::Audio, b"\xaf\x01x")));
        assert!(headers.is_empty());
    }

    /// What a decoder has of each track after these messages, in order.
    fn decoded<'a>(messages: impl Iterator<Item = &'a MediaMessage>) -> BTreeMap<u8, Bytes> {
        messages.flat_map(|m| m.tracks().map(|track| (track, m.payload.clone()))).collect()
    }

    proptest::proptest! {
        /// Whatever shares messages with whatever: a reader that starts now, and one that comes from any point before, end
        /// up with the newest of each track.
        #[test]
        fn every_reader_has_the_newest_of_each_track(
            messages in vec((btree_set(0u8..4, 1..4), 0u8..3), 1..12),
            point: prop::sample::Index,
        ) {
            let messages: Vec<_> = messages
                .iter()
                .map(|(tracks, v)| start(&tracks.iter().copied().collect::<Vec<_>>(), *v))
                .collect();
            let point = point.index(messages.len());
            let mut headers = ConfigSet::default();
            let mut known = ConfigSet::default();
            for (at, m) in messages.iter().enumerate() {
                if at == point {
                    known = headers.clone();
                }
                let before = headers.clone();
                let changed = set(&mut headers, m);
                prop_assert_eq!(changed, decoded(before.messages()) != decoded(headers.messages()));
            }
            let newest = decoded(messages.iter());
            prop_assert_eq!(decoded(headers.messages()), newest.clone());
            prop_assert_eq!(decoded(known.messages().chain(headers.changed_since(&known))), newest);
            prop_assert_eq!(headers.changed_since(&headers).count(), 0);
        }
    }
}
