//! Capabilities, saved and restored with the session that learnt them.

use super::media::{CodecFlags, CodecMap, CodecName, MAX_FOUR_CCS, MediaCaps};
use crate::media::FourCc;
use crate::state::{RestoreError, State, restore_list, save_list};

impl State for CodecName {
    fn save(&self, to: &mut Vec<u8>) {
        let code = match self {
            Self::Any => None,
            Self::FourCc(FourCc(code)) => Some(*code),
        };
        code.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let code: Option<[u8; 4]> = State::restore(from)?;
        Ok(code.map_or(Self::Any, |code| Self::FourCc(FourCc(code))))
    }
}

impl State for CodecFlags {
    fn save(&self, to: &mut Vec<u8>) {
        self.0.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        u32::restore(from).map(Self)
    }
}

impl State for CodecMap {
    fn save(&self, to: &mut Vec<u8>) {
        save_list(&self.0, to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        restore_list(from, MAX_FOUR_CCS).map(Self)
    }
}

impl State for MediaCaps {
    fn save(&self, to: &mut Vec<u8>) {
        let Self {
            four_cc_list,
            video,
            audio,
            caps_ex,
            audio_codecs,
            video_codecs,
            video_function,
            object_encoding,
        } = self;
        save_list(four_cc_list, to);
        video.save(to);
        audio.save(to);
        caps_ex.save(to);
        for flags in [audio_codecs, video_codecs, video_function, object_encoding] {
            flags.save(to);
        }
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        Ok(Self {
            four_cc_list: restore_list(from, MAX_FOUR_CCS)?,
            video: State::restore(from)?,
            audio: State::restore(from)?,
            caps_ex: State::restore(from)?,
            audio_codecs: State::restore(from)?,
            video_codecs: State::restore(from)?,
            video_function: State::restore(from)?,
            object_encoding: State::restore(from)?,
        })
    }
}
