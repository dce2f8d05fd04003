//! FLV files: any split reads the same messages, what is read is written and read again the same, and no more is held
//! than came.

use bytes::Bytes;
use segue_flv::{Messages, Reader, Writer};
use segue_proto::amf::{MAX_TEXT, MAX_VALUES};
use segue_proto::{MediaMessage, TrackKind};

use crate::check::bounded;
use crate::input::{Input, pieces};

/// A seed of piece sizes, then a file.
pub fn flv(data: &[u8]) {
    let mut input = Input::new(data);
    let seed = u64::from(input.u8());
    let file = input.rest();

    let whole = read(file, None);
    assert_eq!(read(file, Some(seed)), whole);
    let (messages, truncated) = whole;
    let (data, media): (Vec<_>, Vec<_>) = messages.iter().partition(|m| m.kind == TrackKind::Data);
    let payload: usize = media.iter().map(|message| message.payload.len() + 11).sum();
    assert!(payload + 11 * data.len() <= file.len(), "more came out than went in");
    // Data that was AMF3 is longer in AMF0.
    let most = file.len() + MAX_TEXT + 16 * MAX_VALUES;
    assert!(data.iter().all(|message| message.payload.len() <= most), "data out of all proportion");
    match seed % 3 {
        0 => bounded(file.len(), 4096 + translated(&messages), 8, || {
            let mut reader = Reader::new();
            reader.push(Bytes::copy_from_slice(file));
            while let Ok(Some(_)) = reader.next() {}
        }),
        1 => as_files_are_read(file, &messages, truncated.is_err()),
        _ => write_again(messages),
    }
}

/// Bytes that may be allocated at a time beside the messages and their places: what a data tag holds may be AMF3, whose
/// references multiply in AMF0, up to what one command may hold in either, text and values.
fn translated(messages: &[MediaMessage]) -> u64 {
    let has_data = messages.iter().any(|message| message.kind == TrackKind::Data);
    u64::from(has_data) * (2 * MAX_TEXT + 160 * MAX_VALUES) as u64
}

fn as_files_are_read(file: &[u8], messages: &[MediaMessage], is_error: bool) {
    let mut iterator = Messages::new(file);
    let mut first_error = false;
    let read_by_iterator: Vec<_> = iterator
        .by_ref()
        .map_while(|item| {
            first_error |= item.is_err();
            item.ok()
        })
        .collect();
    assert_eq!(read_by_iterator, messages);
    assert_eq!(first_error, is_error);
}

fn write_again(messages: Vec<MediaMessage>) {
    let mut writer = Writer::new(true, true);
    for message in &messages {
        writer.push(message).expect("what came from a tag fits one");
    }
    let written = writer.take();
    assert_eq!(read(&written, None), (messages, Ok(None)));
}

/// The messages, then how many bytes are left of a tag, or why it is no FLV file.
type Read = (Vec<MediaMessage>, Result<Option<u64>, String>);

fn read(file: &[u8], seed: Option<u64>) -> Read {
    let (mut reader, mut messages) = (Reader::new(), Vec::new());
    for piece in pieces(file, seed) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error.to_string())),
            }
        }
    }
    let truncated = reader.truncated().map_err(|error| error.to_string());
    if let Ok(Some(left)) = truncated {
        assert!(left <= file.len() as u64);
    }
    (messages, truncated)
}
