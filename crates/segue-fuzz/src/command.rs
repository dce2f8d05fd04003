//! What commands and control messages say: `connect` and its answer, statuses, leg headers, protocol and user control.
//! What is read is written and read again the same, and no list outgrows its bound.

use segue_proto::amf0::Value;
use segue_proto::caps::{Announce, MAX_FOUR_CCS, MediaCaps, ObjectEncoding, ServerInfo};
use segue_proto::media::FourCc;
use segue_proto::message::command::Command;
use segue_proto::message::control::Control;
use segue_proto::message::data::as_amf0;
use segue_proto::message::status::Status;
use segue_proto::message::type_id;
use segue_proto::message::user_control::UserControl;
use segue_proto::session::leg;

use crate::input::Input;

/// A message type, then its body.
pub fn command(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.u8();
    let body = input.rest();
    match kind {
        type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => parse(body, kind),
        type_id::DATA_AMF0 | type_id::DATA_AMF3 => data_message(body, kind),
        type_id::USER_CONTROL => {
            if let Ok(event) = UserControl::decode(body) {
                let message = event.to_message();
                assert_eq!(UserControl::decode(&message.payload), Ok(event));
                assert!(message.payload.len() <= body.len(), "nothing is made up");
            }
        }
        _ => {
            if let Ok(Some(control)) = Control::decode(kind, body) {
                let message = control.to_message();
                assert_eq!(message.type_id, kind);
                assert_eq!(Control::decode(kind, &message.payload), Ok(Some(control)));
            }
        }
    }
}

fn parse(body: &[u8], kind: u8) {
    let Ok(command) = Command::decode(body, kind) else { return };
    let encoded = command.encode();
    let again = Command::decode(&encoded, type_id::COMMAND_AMF0);
    // Longer than a command may be, where it was AMF3 or no UTF-8.
    if encoded.len() <= segue_proto::amf::MAX_COMMAND_BYTES
        && let Ok(again) = again
    {
        assert_eq!(again.encode(), encoded);
        assert_eq!((&again.name, again.args.len()), (&command.name, command.args.len()));
    }

    let status = Status::of(&command);
    assert_eq!(status.is_error(), status.level == "error");
    let objects: Vec<&Value> = std::iter::once(&command.object).chain(&command.args).collect();
    let info = ServerInfo::parse(&objects);
    assert!(info.segue || (info.server_id.is_none() && !info.draining), "only `segue` says more");
    for object in objects {
        announced(object);
    }
    if let Ok(Some(resume)) = leg::find_resume(&command.args) {
        assert_eq!(leg::find_resume(&[leg::resume_value(&resume)]), Ok(Some(resume)));
    }
}

/// What the object of a `connect` announces.
fn announced(object: &Value) {
    let (announce, media) = (Announce::parse(object), MediaCaps::parse(object));
    for len in [media.four_cc_list.len(), media.video.0.len(), media.audio.0.len()] {
        assert!(len <= MAX_FOUR_CCS);
    }
    for codec in [FourCc::AVC, FourCc::OPUS] {
        let all = media.video.0.iter().fold(0, |all, (_, flags)| all | flags.0);
        assert_eq!(media.video.flags(codec).0 & !all, 0, "flags that nobody gave");
    }
    let mut properties = announce.with_media(&media);
    properties.extend(media.legacy_properties());
    let again = Value::Object(properties);
    assert_eq!(Announce::parse(&again), announce);
    assert_eq!(ObjectEncoding::parse(&again), ObjectEncoding::Amf0, "which is not written here");
    let read = MediaCaps::parse(&again);
    // The bit for Reconnect is `announce`'s to say, and the encoding is another property.
    let written = MediaCaps { caps_ex: read.caps_ex, object_encoding: None, ..media.clone() };
    assert_eq!(read, written);
    assert_eq!(read.caps_ex & !1, media.caps_ex & !1);
}

fn data_message(body: &[u8], kind: u8) {
    let Some(payload) = as_amf0(kind, body.to_vec().into()) else {
        return assert!(kind == type_id::DATA_AMF3 && body.first() != Some(&0));
    };
    if kind == type_id::DATA_AMF0 {
        assert_eq!(payload, body, "never changed");
    }
    assert_eq!(as_amf0(type_id::DATA_AMF0, payload.clone()), Some(payload.clone()));
    if let Ok(header) = leg::decode_header(&payload) {
        assert_eq!(leg::decode_header(&leg::encode_header(&header)), Ok(header));
    }
    if let Ok(position) = leg::decode_position(&payload) {
        assert_eq!(leg::decode_position(&leg::encode_position(&position)), Ok(position));
    }
}
