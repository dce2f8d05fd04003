//! The books of a file of many tracks, kept track by track, and what a leg or a viewer must have of it to begin with.
//! Beside `segue verify` this is the second judge of such files, and knows nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::enhanced::{AUDIO, Form, Message, VIDEO};
use crate::flv::Tag;

/// A track: FLV's tag type, and the number.
pub type Track = (u8, u8);

/// What a file holds of each track.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Books {
    /// By track, in order: timestamp, offset in nanoseconds, packet type, form, bytes.
    pub media: BTreeMap<Track, Vec<Entry>>,
    /// By track, the decoder configurations, each where it is another than the one before.
    pub headers: BTreeMap<Track, Vec<Vec<u8>>>,
    /// `onMetaData`, each where it is another than the one before.
    pub metadata: Vec<Vec<u8>>,
    /// How many media messages came in each form.
    pub forms: BTreeMap<Form, usize>,
}

/// One message's part of a track.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Milliseconds.
    pub timestamp: u32,
    /// What a modifier adds to it.
    pub nanos: Option<u32>,
    /// The packet type.
    pub packet: u8,
    /// The message's form.
    pub form: Form,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Books {
    /// Of these tags, in order.
    pub fn of(tags: &[Tag]) -> Self {
        let mut books = Self::default();
        for tag in tags {
            if !matches!(tag.kind, AUDIO | VIDEO) {
                let is_metadata = tag.body.starts_with(b"\x02\0\x0aonMetaData");
                if is_metadata && books.metadata.last() != Some(&tag.body) {
                    books.metadata.push(tag.body.clone());
                }
                continue;
            }
            let message = Message::read(tag);
            if message.is_media() {
                *books.forms.entry(message.form).or_default() += 1;
            }
            for part in &message.parts {
                let track = (tag.kind, part.id);
                if message.is_media() {
                    let Message { nanos, packet, form, .. } = message;
                    let entry =
                        Entry { timestamp: tag.timestamp, nanos, packet, form, data: part.data.clone() };
                    books.media.entry(track).or_default().push(entry);
                } else if message.is_sequence_start() {
                    let headers = books.headers.entry(track).or_default();
                    if headers.last() != Some(&part.data) {
                        headers.push(part.data.clone());
                    }
                }
            }
        }
        books
    }

    /// The tracks of which there is media.
    pub fn tracks(&self) -> BTreeSet<Track> {
        self.media.keys().copied().collect()
    }
}

/// The audio and video messages that are media, in order, as they stand in the file.
pub fn media(tags: &[Tag]) -> Vec<&Tag> {
    tags.iter().filter(|tag| matches!(tag.kind, AUDIO | VIDEO) && Message::read(tag).is_media()).collect()
}

/// Asserts that a leg, or a viewer who joins, is sent what decodes each of these tracks before any frame, and begins
/// with a keyframe of the track that leads, video 0.
pub fn assert_begins_well(file: &Path, tags: &[Tag], source: &Books) {
    let what = file.display();
    let coded = |tag: &&Tag| matches!(tag.kind, AUDIO | VIDEO) && Message::read(tag).is_coded();
    let first = tags.iter().position(|tag| coded(&tag)).unwrap_or_else(|| panic!("{what}: no frames"));
    let (before, after) = tags.split_at(first);
    assert_eq!(Books::of(before).headers, source.headers, "{what}: the headers before the first frame");
    assert_eq!(Books::of(after).headers, BTreeMap::new(), "{what}: headers further on");
    assert_eq!(Books::of(before).metadata, source.metadata, "{what}: the metadata before the first frame");
    let picture = tags.iter().filter(coded).map(Message::read).find(|message| message.kind == VIDEO);
    let picture = picture.unwrap_or_else(|| panic!("{what}: no picture"));
    let ids: Vec<u8> = picture.parts.iter().map(|part| part.id).collect();
    assert!(
        picture.key && ids.contains(&0),
        "{what}: begins with a picture of {ids:?}, key: {}",
        picture.key
    );
}
