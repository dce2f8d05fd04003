//! Wrongs done to a recording, one at a time, with what a judge must say of each.

use crate::flv::Tag;

/// A wrong: its name, what it does, and what `segue verify` with `flags` must count.
#[derive(Clone, Copy)]
pub struct Wrong {
    /// For messages and file names.
    pub name: &'static str,
    /// Does it.
    pub apply: fn(&mut Vec<Tag>),
    /// The arguments under which it shows.
    pub flags: &'static [&'static str],
    /// Numbers by name.
    pub counts: &'static [(&'static str, i64)],
}

/// How many messages [`cut_tail`](WRONGS) takes away.
const TAIL: usize = 10;

/// All of them. They expect a clip of video and audio of some seconds, with a keyframe every 2 s.
pub const WRONGS: &[Wrong] = &[
    Wrong {
        name: "drop",
        apply: |tags| {
            let n = middle(tags);
            tags.remove(n);
        },
        flags: &[],
        counts: &[("missing", 1), ("duplicated", 0), ("reordered", 0), ("altered", 0), ("extra", 0)],
    },
    Wrong {
        name: "repeat",
        apply: |tags| {
            let n = middle(tags);
            tags.insert(n + 1, tags[n].clone());
        },
        flags: &[],
        counts: &[("missing", 0), ("duplicated", 1), ("altered", 0), ("extra", 0)],
    },
    Wrong {
        name: "swap",
        apply: |tags| {
            let first = middle(tags);
            let second = (first + 1..).find(|&n| tags[n].kind == tags[first].kind).expect("a later one");
            tags.swap(first, second);
        },
        flags: &[],
        counts: &[("missing", 0), ("duplicated", 0), ("reordered", 1), ("altered", 0), ("extra", 0)],
    },
    Wrong {
        name: "flip",
        apply: |tags| {
            let n = middle(tags);
            let at = tags[n].body.len() / 2;
            tags[n].body[at] ^= 0x10;
        },
        flags: &[],
        counts: &[("duplicated", 0), ("reordered", 0), ("altered", 1), ("extra", 0)],
    },
    Wrong {
        name: "shift",
        apply: |tags| {
            let n = middle(tags);
            tags[n].timestamp += 7;
        },
        flags: &[],
        counts: &[("missing", 1), ("duplicated", 0), ("reordered", 0), ("altered", 0), ("extra", 1)],
    },
    Wrong {
        name: "cut tail",
        apply: |tags| tags.truncate(tags.len() - TAIL),
        flags: &["--whole"],
        counts: &[
            ("missing", TAIL as i64),
            ("duplicated", 0),
            ("reordered", 0),
            ("altered", 0),
            ("extra", 0),
        ],
    },
];

/// A video message in the middle that is no keyframe.
fn middle(tags: &[Tag]) -> usize {
    (tags.len() / 2..).find(|&n| tags[n].kind == 9 && !tags[n].is_keyframe()).expect("video in the middle")
}
