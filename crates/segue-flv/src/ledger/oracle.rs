//! The ledger against a naive oracle: random mutations of a source, counted by plain search over the definitions,
//! with the offsets known instead of found. It shares nothing with `judge`.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use segue_proto::MediaMessage;

use super::tests::{Sound, compare, flipped, shifted, source};
use super::{Options, Report};

#[derive(Clone, Debug)]
enum Mutation {
    Drop(Index),
    /// Again, so many messages later.
    Repeat(Index, usize),
    Swap(Index, usize),
    Flip(Index),
    Shift(Index, i64),
    CutTail(usize),
    CutHead(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<Index>().prop_map(Mutation::Drop),
        (any::<Index>(), 0_usize..30).prop_map(|(i, n)| Mutation::Repeat(i, n)),
        (any::<Index>(), 1_usize..6).prop_map(|(i, n)| Mutation::Swap(i, n)),
        any::<Index>().prop_map(Mutation::Flip),
        (any::<Index>(), prop_oneof![-70_i64..70, Just(33), Just(-23), Just(100_000)])
            .prop_map(|(i, by)| Mutation::Shift(i, by)),
        (0_usize..15).prop_map(Mutation::CutTail),
        (0_usize..15).prop_map(Mutation::CutHead),
    ]
}

fn apply(leg: &mut Vec<MediaMessage>, mutation: &Mutation) {
    match mutation {
        Mutation::Drop(i) => drop(leg.remove(i.index(leg.len()))),
        Mutation::Repeat(i, later) => {
            let i = i.index(leg.len());
            leg.insert((i + later).min(leg.len()), leg[i].clone());
        }
        Mutation::Swap(i, apart) => {
            let i = i.index(leg.len());
            let j = (i + apart).min(leg.len() - 1);
            leg.swap(i, j);
        }
        Mutation::Flip(i) => {
            let i = i.index(leg.len());
            leg[i] = flipped(&leg[i]);
        }
        Mutation::Shift(i, by) => {
            let i = i.index(leg.len());
            leg[i].timestamp = leg[i].timestamp.shifted(*by);
        }
        Mutation::CutTail(n) => leg.truncate(leg.len() - n),
        Mutation::CutHead(n) => drop(leg.drain(..n)),
    }
}

#[derive(PartialEq, Debug, Default)]
struct Counts {
    missing: usize,
    duplicated: usize,
    overlap: usize,
    reordered: usize,
    altered: usize,
    extra: usize,
}

impl From<&Report> for Counts {
    fn from(r: &Report) -> Self {
        let [missing, duplicated, overlap, reordered, altered, extra] =
            [r.missing, r.duplicated, r.overlap, r.reordered, r.altered, r.extra].map(|n| n as usize);
        Self { missing, duplicated, overlap, reordered, altered, extra }
    }
}

/// The contract's sentences one by one, for legs already on the source's timeline and a source without two messages
/// of one track and timestamp.
fn naive(sent: &[MediaMessage], legs: &[Vec<MediaMessage>], whole: bool) -> Counts {
    let mut counts = Counts::default();
    let media = |m: &&MediaMessage| m.info().is_media();
    let sent: Vec<&MediaMessage> = sent.iter().filter(media).collect();
    let mut received: Vec<&MediaMessage> = Vec::new();
    let mut previous: Vec<&MediaMessage> = Vec::new();
    for leg in legs {
        let leg: Vec<&MediaMessage> = leg.iter().filter(media).collect();
        let longest = previous.len().min(leg.len());
        let run = (0..=longest).rev().find(|n| previous.ends_with(&leg[..*n])).unwrap();
        counts.overlap += run;
        received.extend(&leg[run..]);
        previous = leg;
    }
    let place = |m: &MediaMessage| sent.iter().position(|s| s.kind == m.kind && s.timestamp == m.timestamp);
    let mut got = vec![None; sent.len()];
    for (when, message) in received.iter().enumerate() {
        match place(message) {
            None => counts.extra += 1,
            Some(at) if sent[at] != *message => counts.altered += 1,
            Some(at) if got[at].is_some() => counts.duplicated += 1,
            Some(at) => got[at] = Some(when),
        }
    }
    for (when, message) in received.iter().enumerate() {
        if let Some(at) = place(message) {
            got[at].get_or_insert(when);
        }
    }
    for (at, when) in got.iter().enumerate() {
        let kind = sent[at].kind;
        let earlier_but_further = |other: &usize| sent[*other].kind == kind && got[*other] < *when;
        if when.is_some() {
            let behind =
                (at + 1..sent.len()).filter(|other| got[*other].is_some()).any(|o| earlier_but_further(&o));
            counts.reordered += usize::from(behind);
        }
    }
    let first = got.iter().position(Option::is_some).unwrap();
    let last = got.iter().rposition(Option::is_some).unwrap();
    let due = if whole { &got[..] } else { &got[first..=last] };
    counts.missing = due.iter().filter(|when| when.is_none()).count();
    counts
}

proptest! {
    #[test]
    fn random_faults_are_counted_as_a_naive_oracle_counts_them(
        silence: bool,
        whole: bool,
        per_leg: bool,
        start: u32,
        overlaps in proptest::array::uniform2(0_usize..25),
        mutations in proptest::collection::vec((0_usize..3, mutation()), 0..6),
        offsets in proptest::array::uniform3(any::<i32>()),
    ) {
        let sound = if silence { Sound::Silence } else { Sound::Music };
        let sent = shifted(&source(80, sound), i64::from(start));
        let [one, two] = [64, 128];
        let mut legs =
            [sent[..one].to_vec(), sent[one - overlaps[0]..two].to_vec(), sent[two - overlaps[1]..].to_vec()];
        for (leg, mutation) in &mutations {
            apply(&mut legs[*leg], mutation);
        }
        let offsets = if per_leg { offsets } else { [offsets[0]; 3] };
        let received: Vec<Vec<MediaMessage>> =
            legs.iter().zip(offsets).map(|(leg, by)| shifted(leg, i64::from(by))).collect();
        let received: Vec<&[MediaMessage]> = received.iter().map(Vec::as_slice).collect();
        let report = compare(Options { whole, offset_per_leg: per_leg, ..Options::default() }, &sent, &received);
        prop_assert_eq!(&report.offsets_ms, &offsets.map(Some));
        let expected = naive(&sent, &legs, whole);
        prop_assert_eq!(&Counts::from(&report), &expected, "{:?}", mutations);
        let faults = expected.missing + expected.duplicated + expected.reordered + expected.altered + expected.extra;
        prop_assert_eq!(report.exit_code(), if faults == 0 { 0 } else { 3 });
        prop_assert_eq!(report.gap_ms > 0, report.missing > 0);
    }

    #[test]
    fn any_messages_in_any_order_are_all_accounted_for(
        picks in proptest::collection::vec((any::<Index>(), 0_i64..3), 0..80),
        legs in 1_usize..5,
        per_leg: bool,
    ) {
        let sent = source(12, Sound::Silence);
        let received: Vec<MediaMessage> =
            picks.iter().flat_map(|(i, by)| shifted(&[sent[i.index(sent.len())].clone()], *by)).collect();
        let legs: Vec<&[MediaMessage]> = received.chunks(received.len() / legs + 1).collect();
        let options = Options { whole: true, offset_per_leg: per_leg, ..Options::default() };
        let r = compare(options, &sent, &legs);
        let taken = r.sent - r.missing;
        let others = r.duplicated + r.overlap + r.extra;
        prop_assert!(taken + others <= r.received && r.received <= taken + others + r.altered, "{}", r);
        prop_assert!(r.reordered < taken.max(1));
    }
}
