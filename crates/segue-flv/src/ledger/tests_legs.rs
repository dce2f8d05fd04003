//! The ledger on several legs: overlaps, repeats that are none, restarted timestamps, legs of silence.

use segue_proto::TrackKind;

use super::Options;
use super::tests::{PER_LEG, Sound, WHOLE, compare, faults, flipped, nth, shifted, source};

#[test]
fn legs_without_and_with_overlaps() {
    for sound in [Sound::Music, Sound::Silence] {
        let sent = source(90, sound);
        let report = compare(WHOLE, &sent, &[&sent[..70], &sent[70..110], &sent[110..]]);
        assert_eq!((faults(&report), report.steps_ms.clone()), (vec![], vec![Some(0), Some(0)]));

        let report = compare(WHOLE, &sent, &[&sent[..70], &sent[60..]]);
        assert_eq!((faults(&report), report.exit_code()), (vec![("overlap", 10)], 0));
        let strict = Options { no_overlap: true, ..WHOLE };
        assert_eq!(compare(strict, &sent, &[&sent[..70], &sent[60..]]).exit_code(), 3);

        // Two overlaps, configuration before each leg, an empty leg between.
        let legs = [&sent[..70], &sent[..0], &[&sent[..3], &sent[60..110]].concat(), &sent[90..]];
        assert_eq!(faults(&compare(WHOLE, &sent, &legs)), [("overlap", 30)]);
        // The whole of the previous leg again.
        assert_eq!(
            faults(&compare(WHOLE, &sent, &[&sent[..70], &sent[70..100], &sent[70..]])),
            [("overlap", 30)]
        );
    }
}

#[test]
fn a_repeat_that_is_no_overlap_is_duplicated() {
    for sound in [Sound::Music, Sound::Silence] {
        let sent = source(90, sound);
        // One message of the run is not there: what was identical before it no longer reaches the tail.
        let mut second = sent[60..].to_vec();
        second.remove(4);
        assert_eq!(faults(&compare(WHOLE, &sent, &[&sent[..70], &second])), [("duplicated", 9)]);
        // Ends before the previous leg's end.
        assert_eq!(faults(&compare(WHOLE, &sent, &[&sent[..], &sent[60..80]])), [("duplicated", 20)]);
        // Does not start the leg.
        let late = [&sent[70..72], &sent[60..70], &sent[72..]].concat();
        assert_eq!(faults(&compare(WHOLE, &sent, &[&sent[..70], &late])), [("duplicated", 10)]);
        // Repeats more than the previous leg has.
        assert_eq!(
            faults(&compare(WHOLE, &sent, &[&sent[..70], &sent[70..75], &sent[65..]])),
            [("duplicated", 10)]
        );
    }
}

#[test]
fn legs_in_the_wrong_order_are_reordered() {
    let sent = source(60, Sound::Music);
    assert_eq!(faults(&compare(WHOLE, &sent, &[&sent[100..], &sent[..100]])), [("reordered", 97)]);
}

#[test]
fn restarted_legs_have_offsets_of_their_own() {
    for sound in [Sound::Music, Sound::Silence] {
        let sent = source(90, sound);
        let cut = nth(&sent, TrackKind::Video, 40);
        let (first, second) = (&sent[..cut], shifted(&sent[cut..], -40 * 33));
        let report = compare(PER_LEG, &sent, &[first, &second]);
        assert_eq!(faults(&report), [], "{sound:?}");
        assert_eq!((report.offsets_ms, report.steps_ms), (vec![Some(0), Some(-1320)], vec![Some(-1320)]));
        // The same files with one offset for both: they cannot both be right.
        assert_eq!(compare(WHOLE, &sent, &[first, &second]).exit_code(), 3);
        // With an overlap, and a fault in each leg.
        let mut second = shifted(&sent[cut - 12..], 99_999);
        assert_eq!(faults(&compare(PER_LEG, &sent, &[first, &second])), [("overlap", 12)]);
        second.remove(30);
        let mut first = first.to_vec();
        first[20] = flipped(&first[20]);
        let report = compare(PER_LEG, &sent, &[&first, &second]);
        assert_eq!(faults(&report), [("missing", 1), ("overlap", 12), ("altered", 1)]);
    }
}

#[test]
fn silence_alone_is_aligned_as_plainly_as_it_can_be() {
    let sent: Vec<_> =
        source(90, Sound::Silence).into_iter().filter(|m| m.kind == TrackKind::Audio).collect();
    assert_eq!(faults(&compare(WHOLE, &sent, &[&sent[..60], &sent[50..]])), [("overlap", 10)]);
    assert_eq!(faults(&compare(WHOLE, &sent, &[&shifted(&sent, 777)])), []);
    let report = compare(PER_LEG, &sent, &[&sent[..60], &shifted(&sent[60..], -1000)]);
    assert_eq!((faults(&report), report.steps_ms), (vec![], vec![Some(-1000)]));
}
