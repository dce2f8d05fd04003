//! User control messages (type 4; RTMP 1.0, 7.1.7): the events around streams, and ping.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]

use super::{Message, type_id};
use crate::error::Error;

/// A user control event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserControl {
    /// 0: the stream can be used.
    StreamBegin(u32),
    /// 1: playback of the stream is over.
    StreamEof(u32),
    /// 2: no more data on the stream for now.
    StreamDry(u32),
    /// 3: how much a viewer buffers.
    SetBufferLength {
        /// Message stream.
        stream: u32,
        /// Buffer in milliseconds.
        ms: u32,
    },
    /// 4: the stream is a recording.
    StreamIsRecorded(u32),
    /// 6: answer with a ping response of the same number.
    PingRequest(u32),
    /// 7: the answer.
    PingResponse(u32),
    /// Any other event: to be skipped.
    Other(u16),
}

impl UserControl {
    /// Decodes a payload.
    ///
    /// # Errors
    /// It is too short for its event.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        const SHORT: Error = Error::PeerMisbehaved("a user control message is too short");
        let (event, rest) = payload.split_first_chunk::<2>().ok_or(SHORT)?;
        let event = u16::from_be_bytes(*event);
        if !matches!(event, 0..=4 | 6 | 7) {
            return Ok(Self::Other(event));
        }
        let (number, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
        let number = u32::from_be_bytes(*number);
        Ok(match event {
            0 => Self::StreamBegin(number),
            1 => Self::StreamEof(number),
            2 => Self::StreamDry(number),
            3 => {
                let (ms, _) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
                Self::SetBufferLength { stream: number, ms: u32::from_be_bytes(*ms) }
            }
            4 => Self::StreamIsRecorded(number),
            6 => Self::PingRequest(number),
            _ => Self::PingResponse(number),
        })
    }

    /// The message: message stream 0, timestamp 0.
    pub fn to_message(&self) -> Message {
        let (event, numbers): (u16, &[u32]) = match self {
            Self::StreamBegin(stream) => (0, &[*stream]),
            Self::StreamEof(stream) => (1, &[*stream]),
            Self::StreamDry(stream) => (2, &[*stream]),
            Self::SetBufferLength { stream, ms } => (3, &[*stream, *ms]),
            Self::StreamIsRecorded(stream) => (4, &[*stream]),
            Self::PingRequest(number) => (6, &[*number]),
            Self::PingResponse(number) => (7, &[*number]),
            Self::Other(event) => (*event, &[]),
        };
        let mut payload = event.to_be_bytes().to_vec();
        numbers.iter().for_each(|number| payload.extend_from_slice(&number.to_be_bytes()));
        Message::control(type_id::USER_CONTROL, payload.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the event table of RTMP 1.0, 7.1.7.
    #[test]
    fn events_of_the_specification() {
        let cases: [(UserControl, &[u8]); 8] = [
            (UserControl::StreamBegin(1), &[0, 0, 0, 0, 0, 1]),
            (UserControl::StreamEof(2), &[0, 1, 0, 0, 0, 2]),
            (UserControl::StreamDry(1), &[0, 2, 0, 0, 0, 1]),
            (UserControl::SetBufferLength { stream: 1, ms: 3000 }, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8]),
            (UserControl::StreamIsRecorded(1), &[0, 4, 0, 0, 0, 1]),
            (UserControl::PingRequest(0x0a0b_0c0d), &[0, 6, 10, 11, 12, 13]),
            (UserControl::PingResponse(7), &[0, 7, 0, 0, 0, 7]),
            (UserControl::Other(31), &[0, 31]),
        ];
        for (event, body) in cases {
            let message = event.to_message();
            assert_eq!((message.type_id, message.stream_id.0, &message.payload[..]), (4, 0, body));
            assert_eq!(UserControl::decode(body), Ok(event));
            assert!(UserControl::decode(&body[..body.len() - 1]).is_err(), "one byte short of {event:?}");
        }
    }
}
