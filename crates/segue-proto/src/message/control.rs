//! Protocol control messages that concern acknowledgement (RTMP 1.0, 5.4.3 to 5.4.5). Set Chunk Size and Abort belong
//! to the chunk layer, which applies them itself. The go-away message (type 32) is built here too, as it is one by its
//! framing; when it is sent is `session::go_away`'s business.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]

use bytes::Bytes;

use super::{Message, type_id};
use crate::error::Error;

/// The body of a go-away message. The text that defines it gives it no fields; four zero bytes, because OBS ignores
/// the signal when there is no body.
const GO_AWAY_BODY: [u8; 4] = [0; 4];

/// How a peer means its bandwidth limit (RTMP 1.0, 5.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitType {
    /// 0: limit to the given window.
    Hard,
    /// 1: limit to the given window or the one in force, whichever is smaller.
    Soft,
    /// 2: as hard if the last was hard, else to be ignored.
    Dynamic,
}

/// A control message about acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Type 3: bytes received so far, modulo 2^32.
    Acknowledgement {
        /// That number.
        sequence: u32,
    },
    /// Type 5: how many bytes the sender sends between two acknowledgements, at most.
    WindowAckSize(u32),
    /// Type 6: the output bandwidth that the sender asks the receiver to keep to.
    SetPeerBandwidth {
        /// Window in bytes.
        window: u32,
        /// How it is meant.
        limit: LimitType,
    },
}

impl Control {
    /// Decodes the message of this type, or `None` if it is not one of these.
    ///
    /// # Errors
    /// The body is too short, or its limit type is unknown.
    pub fn decode(type_id: u8, payload: &[u8]) -> Result<Option<Self>, Error> {
        if !matches!(
            type_id,
            type_id::ACKNOWLEDGEMENT | type_id::WINDOW_ACK_SIZE | type_id::SET_PEER_BANDWIDTH
        ) {
            return Ok(None);
        }
        let (number, rest) = payload
            .split_first_chunk::<4>()
            .ok_or(Error::PeerMisbehaved("a control message is too short"))?;
        let number = u32::from_be_bytes(*number);
        Ok(Some(match type_id {
            type_id::ACKNOWLEDGEMENT => Self::Acknowledgement { sequence: number },
            type_id::WINDOW_ACK_SIZE => Self::WindowAckSize(number),
            _ => {
                let limit = match rest.first() {
                    Some(0) => LimitType::Hard,
                    Some(1) => LimitType::Soft,
                    Some(2) => LimitType::Dynamic,
                    Some(_) => return Err(Error::PeerMisbehaved("a limit type is unknown")),
                    None => return Err(Error::PeerMisbehaved("a control message is too short")),
                };
                Self::SetPeerBandwidth { window: number, limit }
            }
        }))
    }

    /// The message: message stream 0, timestamp 0 (RTMP 1.0, 5.4).
    pub fn to_message(&self) -> Message {
        let (type_id, payload) = match *self {
            Self::Acknowledgement { sequence } => (type_id::ACKNOWLEDGEMENT, sequence.to_be_bytes().to_vec()),
            Self::WindowAckSize(size) => (type_id::WINDOW_ACK_SIZE, size.to_be_bytes().to_vec()),
            Self::SetPeerBandwidth { window, limit } => {
                let [a, b, c, d] = window.to_be_bytes();
                let limit = match limit {
                    LimitType::Hard => 0,
                    LimitType::Soft => 1,
                    LimitType::Dynamic => 2,
                };
                (type_id::SET_PEER_BANDWIDTH, vec![a, b, c, d, limit])
            }
        };
        Message::control(type_id, payload.into())
    }
}

/// The go-away message: type 32, message stream 0. To be sent on chunk stream 2.
pub fn go_away() -> Message {
    Message::control(type_id::GO_AWAY, Bytes::from_static(&GO_AWAY_BODY))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bodies after figures 3 to 5 of RTMP 1.0, 5.4.
    #[test]
    fn bodies_of_the_specification() {
        let cases: [(Control, u8, &[u8]); 4] = [
            (Control::Acknowledgement { sequence: 0x0102_0304 }, 3, &[1, 2, 3, 4]),
            (Control::WindowAckSize(2_500_000), 5, &[0x00, 0x26, 0x25, 0xa0]),
            (
                Control::SetPeerBandwidth { window: 2_500_000, limit: LimitType::Dynamic },
                6,
                &[0x00, 0x26, 0x25, 0xa0, 2],
            ),
            (Control::SetPeerBandwidth { window: 0, limit: LimitType::Hard }, 6, &[0, 0, 0, 0, 0]),
        ];
        for (control, type_id, body) in cases {
            let message = control.to_message();
            assert_eq!((message.type_id, message.stream_id.0, &message.payload[..]), (type_id, 0, body));
            assert_eq!(Control::decode(type_id, body), Ok(Some(control)));
            assert!(
                Control::decode(type_id, &body[..body.len() - 1]).is_err(),
                "one byte short of {control:?}"
            );
        }
        assert!(Control::decode(6, &[0, 0, 0, 0, 3]).is_err());
        assert_eq!(Control::decode(9, &[]), Ok(None));
    }

    #[test]
    fn go_away_has_a_body_that_obs_takes() {
        let message = go_away();
        assert_eq!((message.type_id, message.stream_id.0, &message.payload[..]), (32, 0, &[0u8; 4][..]));
    }
}
