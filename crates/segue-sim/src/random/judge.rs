//! The verdict over a run: the ledger and the invariants. What may be missing is what the run says that a fault could
//! cost; by default nothing, and whatever it is, it must have been counted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use segue_flv::ledger::{Ledger, Options, Report};
use segue_proto::caps::Announce;
use segue_proto::client::publisher::ROOM;
use segue_proto::client::{Ending, Outcome};
use segue_proto::handover::record::{Cause, HandoverResult, Record};
use segue_proto::handover::replay::MAX_BYTES;
use segue_proto::handover::viewer::MAX_HELD_BYTES;
use segue_proto::media::{Config, Content};
use segue_proto::session::GoAwaySignal;
use segue_proto::{MediaMessage, Timestamp, TrackKind};

use super::fault::Fault;
use super::plan::{Plan, Theme};
use super::run::{Key, Legs, Seen, Watched, key};
use super::tally::Tally;
use super::watch::NEWS;

/// What came of a seed.
#[derive(Debug)]
pub struct Verdict {
    /// Which.
    pub seed: u64,
    /// A hash of every byte delivered, and when.
    pub trace: u64,
    /// What was fired.
    pub tally: Tally,
    /// Which invariants were broken, and how.
    pub violations: Vec<String>,
    /// What happened, for a person.
    pub story: String,
}

/// Judges a run.
pub fn judge(plan: &Plan, seen: Seen) -> Verdict {
    let mut judge = Judge { plan, seen: &seen, violations: seen.broken.clone(), tally: seen.tally.clone() };
    if plan.theme == Theme::RestartAtZero {
        judge.restart();
    } else {
        judge.publisher();
        judge.recordings();
        seen.viewers.iter().enumerate().for_each(|(n, viewer)| judge.viewer(n, viewer));
        judge.strangers();
        judge.signals();
    }
    judge.memory();
    let (violations, tally) = (judge.violations, judge.tally);
    Verdict { seed: plan.seed, trace: seen.trace, tally, violations, story: story(plan, &seen) }
}

struct Judge<'a> {
    plan: &'a Plan,
    seen: &'a Seen,
    violations: Vec<String>,
    tally: Tally,
}

/// What a ledger says of legs.
fn ledger<'a>(
    options: Options,
    sent: &[MediaMessage],
    legs: impl IntoIterator<Item = &'a [MediaMessage]>,
) -> Report {
    let mut ledger = Ledger::new(options);
    sent.iter().for_each(|m| ledger.sent(m));
    for leg in legs {
        ledger.leg_start();
        leg.iter().for_each(|m| ledger.received(m));
    }
    ledger.finish()
}

/// A viewer that looks for a stream finds it where it has been for so long: its back-off comes to 5 s, a wait at the server
/// that has not got it to 2 s, and then it connects.
const PLENTY: std::time::Duration = std::time::Duration::from_secs(8);

const STRICT: Options = Options { whole: true, no_overlap: true, offset_per_leg: false, track: None };

impl Judge<'_> {
    fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    fn publisher(&mut self) {
        let Some(outcome) = self.seen.publisher.outcome.clone() else { return };
        // It gives up after a minute without any server, or half of one where its end was not acknowledged, and no plan is
        // without one for so long.
        if outcome.ending != Ending::Complete {
            self.violation(format!("I4: the publisher: {:?}", outcome.ending));
        }
    }

    /// Each stream on each server is in order and without repeats (I1); together they have all, or the publisher counted
    /// what they have not (I4).
    fn recordings(&mut self) {
        let seen = self.seen;
        let mut legs: Vec<_> = seen.recordings.iter().flatten().collect();
        legs.sort_by_key(|leg| leg.began);
        for stream in &seen.recordings {
            self.one_recording(stream);
        }
        let missing = self.unrecorded();
        // A publisher without proof sends its last seconds again after any end of its server's making.
        // One that moves without a boundary begins at the last keyframe (H1: "then replay from the last keyframe").
        let records = &seen.publisher.records;
        let repeats = records.iter().any(|record| record.overlap != Some(0));
        let may_overlap = seen.may_overlap || repeats || !self.plan.publisher.segue;
        if !may_overlap {
            let report = ledger(
                Options { whole: false, ..STRICT },
                &seen.sent,
                legs.iter().map(|leg| leg.messages.as_slice()),
            );
            if report.duplicated + report.overlap + report.reordered > 0 {
                self.violation(format!("I1: the recordings together: {report}"));
            }
        }
        // Who proves nothing to its server may lose what a break or a cut took; a quiet move loses nothing.
        if self.plan.publisher.segue || self.is_quiet() {
            let doomed = seen.doomed.union(&self.lost_tails()).copied().collect();
            self.missing("the recordings", &missing, &doomed);
        }
        let Some(outcome) = &seen.publisher.outcome else { return };
        self.counted(outcome, missing.len() as u64);
    }

    /// What no server has.
    fn unrecorded(&self) -> BTreeSet<Key> {
        let mut unrecorded: BTreeSet<Key> =
            self.seen.sent.iter().filter(|m| m.info().is_media()).map(key).collect();
        for message in self.seen.recordings.iter().flatten().flat_map(|leg| &leg.messages) {
            unrecorded.remove(&key(message));
        }
        unrecorded
    }

    /// The tails that the publisher counted, message by message. Design, Evidence: "A tail without proof is replayed: the
    /// new leg starts from the keyframe before it, or, if it already runs, what is missing is counted." It runs already
    /// where the old connection was reset before the move, and the news of it came after. The tail is what lies directly
    /// before the new leg's first message, as many as the record of that move says: not one more may be missing.
    fn lost_tails(&self) -> BTreeSet<Key> {
        let mut tails = BTreeSet::new();
        if !self.seen.moved_unheard {
            return tails;
        }
        let media: Vec<&MediaMessage> = self.seen.sent.iter().filter(|m| m.info().is_media()).collect();
        for record in &self.seen.publisher.records {
            let (Some(first), Some(missing), Some(false)) =
                (record.new_first_ts, record.missing, record.confirmed)
            else {
                continue;
            };
            if let Some(end) = media.iter().position(|m| m.timestamp.as_millis() == first) {
                let begin = end.saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX));
                tails.extend(media[begin..end].iter().map(|m| key(m)));
            }
        }
        tails
    }

    /// Nothing but go-aways.
    fn is_quiet(&self) -> bool {
        let quiet = |(_, fault): &(_, Fault)| {
            matches!(fault, Fault::Drain { deadline, .. } if deadline.as_secs() >= 25)
                || matches!(fault, Fault::TellStream { .. } | Fault::Cancel | Fault::Join | Fault::Stranger)
        };
        !self.seen.troubled && self.plan.faults.iter().all(quiet)
    }

    fn one_recording(&mut self, stream: &Legs) {
        let all: Vec<_> = stream.iter().flat_map(|leg| &leg.messages).cloned().collect();
        if all.is_empty() {
            return;
        }
        let report = ledger(Options { whole: false, ..STRICT }, &self.seen.sent, [all.as_slice()]);
        if report.duplicated + report.reordered + report.altered + report.extra > 0 {
            self.violation(format!("I1: one server's recordings: {report}"));
        }
        self.monotonic("a recording", &all);
    }

    /// What is missing must be what a fault could cost.
    fn missing(&mut self, where_: &str, missing: &BTreeSet<Key>, doomed: &BTreeSet<Key>) {
        if missing.is_empty() {
            return;
        }
        self.tally.add(if where_ == "the recordings" { "loss: recordings" } else { "loss: a viewer" });
        let excess: Vec<_> = missing.difference(doomed).collect();
        if !excess.is_empty() {
            let (first, last) = (excess.first(), excess.last());
            self.violation(format!(
                "I1: {where_} lack {} messages that no fault can cost, {first:?} to {last:?}",
                excess.len()
            ));
        }
    }

    /// I4: loss is never silent. A publisher that speaks segue to its servers counts it, exactly as long as every
    /// connection told what arrived; one whose last words were lost with a connection counts what it cannot prove.
    fn counted(&mut self, outcome: &Outcome, missing: u64) {
        let reported = outcome.missing;
        if !self.plan.publisher.segue {
            // Contract, publish: elsewhere a clean end counts and the report says "confirmed": false.
            if missing > reported && outcome.confirmed == Some(true) {
                self.violation(format!("I4: {missing} missing, {reported} counted, and confirmed"));
            }
            return;
        }
        if missing > reported {
            self.violation(format!("I4: {missing} missing, the publisher counted {reported}"));
        }
        if reported > missing {
            self.tally.add("publisher counted too much");
            let broke = self.seen.publisher.records.iter().any(|record| record.cause == Some(Cause::Crash));
            if !self.seen.evidence_lost && !broke {
                self.violation(format!("I4: the publisher counted {reported} missing, there are {missing}"));
            }
        }
        if outcome.confirmed == Some(true) && missing > reported {
            self.violation(format!("I4: confirmed, and {missing} missing"));
        }
    }

    fn viewer(&mut self, n: usize, viewer: &Watched) {
        let seen = self.seen;
        let name = format!("viewer {n}");
        let got: Vec<_> = viewer.log.seen.iter().map(|(_, m)| m.clone()).collect();
        let Some(outcome) = &viewer.log.outcome else { return };
        let count = got.iter().filter(|m| m.info().is_media()).count();
        if count == 0 {
            // One that came late may have come to a server that just died or left.
            let told = self
                .plan
                .faults
                .iter()
                .any(|(_, f)| matches!(f, Fault::Drain { .. } | Fault::TellStream { .. }));
            let elsewhere = viewer.late && (self.seen.troubled || self.moved() || told);
            // Contract, play: "A stream not there yet is waited for (10 s, then 1)". A server that dies before the first
            // message can have reached anybody leaves its viewers waiting for a stream that they have not heard of.
            let unheard =
                self.seen.troubled && matches!(outcome.ending, Ending::Failed(_)) && viewer.starved < NEWS;
            if unheard && !elsewhere {
                self.tally.add("a viewer came before the stream");
            } else if !elsewhere {
                self.violation(format!("{name} saw nothing: {outcome:?}"));
            }
            return;
        }
        let report = ledger(Options { whole: false, ..STRICT }, &seen.sent, [got.as_slice()]);
        let splices = viewer.announce.segue && self.plan.publisher.segue;
        if splices || self.is_quiet() {
            if report.duplicated + report.reordered + report.overlap > 0 {
                self.violation(format!("I1: {name}: {report}"));
            }
            self.monotonic(&name, &got);
        } else if report.duplicated + report.reordered > 0 {
            // Where no index says so, what comes from a third server cannot be told from what comes next; the viewer's own
            // record says of the join that nobody can know, or that it goes back.
            let mut joins = viewer.log.records.iter().filter(|record| record.result == HandoverResult::Moved);
            let goes_on =
                |old: u32, new: u32| Timestamp::from_millis(new).is_after(Timestamp::from_millis(old));
            let known = |record: &Record| {
                record.missing.is_some()
                    && record.old_last_ts.zip(record.new_first_ts).is_some_and(|(old, new)| goes_on(old, new))
            };
            if joins.all(known) {
                self.violation(format!("I1: {name}: {report}"));
            }
            self.tally.add("a viewer without indexes out of order");
        }
        if report.altered + report.extra > 0 {
            self.violation(format!("I1: {name}: {report}"));
        }
        self.configured(&name, &got);

        let have: BTreeSet<Key> = got.iter().filter(|m| m.info().is_media()).map(key).collect();
        let media: Vec<Key> = seen.sent.iter().filter(|m| m.info().is_media()).map(key).collect();
        let first = media.iter().position(|k| have.contains(k)).unwrap_or_default();
        let last = media.iter().rposition(|k| have.contains(k)).unwrap_or_default();
        let between: BTreeSet<Key> =
            media[first..=last].iter().filter(|k| !have.contains(k)).copied().collect();
        let before: BTreeSet<Key> = media[..first].iter().copied().collect();
        let after: BTreeSet<Key> = media[last + 1..].iter().copied().collect();

        let mut doomed: BTreeSet<Key> = viewer.doomed.union(&seen.doomed).copied().collect();
        doomed.extend(&seen.astray);
        doomed.extend(self.lost_tails().intersection(&self.unrecorded()));
        if viewer.announce.segue && self.plan.publisher.segue {
            // I4: exact, both ends are Segue.
            if between.len() as u64 != outcome.missing {
                self.violation(format!(
                    "I4: {name} lacks {}, and counted {}",
                    between.len(),
                    outcome.missing
                ));
            }
        } else if outcome.missing > between.len() as u64 {
            self.violation(format!("I4: {name} lacks {}, and counted {}", between.len(), outcome.missing));
        }
        // Who names no index is started at the newest keyframe.
        if splices {
            self.missing(&name, &between, &doomed);
        }
        if !viewer.late && splices {
            self.missing(&name, &before, &doomed);
        }
        // Contract, drain: viewers that cannot follow are ended and counted.
        if viewer.announce == Announce::NONE || !splices {
            return;
        }
        let excused = after.is_subset(&doomed) && !seen.astray.is_empty();
        if excused && !after.is_empty() {
            self.tally.add("a viewer whose publisher strayed");
        }
        match &outcome.ending {
            // The server that it came back to said that the stream is over, because there its grace was.
            Ending::Complete if seen.troubled && !after.is_empty() && viewer.starved < PLENTY => {
                self.tally.add("a viewer gave up");
            }
            Ending::Complete => self.missing(&name, &after, &doomed),
            // Contract, play: "A server that dies is retried for 15 s, then 1, or 3 if media was lost."
            Ending::Lost(_) if seen.troubled && viewer.starved < PLENTY => self.tally.add("a viewer gave up"),
            Ending::Lost(_) if excused => {}
            other => self
                .violation(format!("{name} ended with {other:?}, {} messages before the end", after.len())),
        }
    }

    fn moved(&self) -> bool {
        self.seen.publisher.records.iter().any(|record| record.to.is_some())
    }

    /// Decode timestamps of each track rise, modulo 2^32.
    fn monotonic(&mut self, name: &str, messages: &[MediaMessage]) {
        let mut last = BTreeMap::new();
        for message in messages {
            let info = message.info();
            if !info.is_coded() {
                continue;
            }
            let previous = last.insert((message.kind, info.track), message.timestamp);
            if previous.is_some_and(|previous| !message.timestamp.is_after(previous)) {
                self.violation(format!("I1: {name}: {message:?} after {previous:?}"));
                return;
            }
        }
    }

    /// H14, H15: what is in force at each message is what the source had in force there.
    fn configured(&mut self, name: &str, got: &[MediaMessage]) {
        let source = configurations(&self.seen.sent);
        for (at, have) in configurations(got) {
            let Some(want) = source.get(&at) else { continue };
            if *want != have {
                self.violation(format!("H14: {name}: at {at:?} {have:?} is in force, not {want:?}"));
                return;
            }
        }
    }

    /// I5: nobody else gets in, and nothing of theirs is anywhere.
    fn strangers(&mut self) {
        for stranger in &self.seen.strangers {
            match stranger.outcome.as_ref().map(|outcome| &outcome.ending) {
                Some(Ending::Failed(_)) => {}
                other => self.violation(format!("I5: a stranger: {other:?}")),
            }
        }
    }

    /// H25, H26: who announced nothing hears nothing, who announced both hears one.
    fn signals(&mut self) {
        let unaware = |announce: Announce| !announce.reconnect && !announce.go_away;
        if unaware(self.plan.publisher) && self.seen.signals.iter().any(|signals| !signals.is_empty()) {
            self.violation(format!("H25: the publisher was told: {:?}", self.seen.signals));
        }
        for viewer in self.seen.viewers.iter().filter(|viewer| unaware(viewer.announce)) {
            if viewer.signals.iter().any(|signals| !signals.is_empty()) {
                self.violation(format!("H25: a viewer was told: {:?}", viewer.signals));
            }
        }
        if self.plan.publisher.reconnect
            && self.seen.signals.iter().flatten().any(|signal| *signal != GoAwaySignal::ReconnectRequest)
        {
            self.violation(format!("H26: {:?}", self.seen.signals));
        }
    }

    /// I3: the clients' bounds. The servers' are looked at while they run.
    fn memory(&mut self) {
        let peak = self.seen.publisher.peak_bytes;
        if peak > MAX_BYTES + ROOM as usize {
            self.violation(format!("I3: a replay buffer of {peak} bytes"));
        }
        for viewer in &self.seen.viewers {
            if viewer.log.peak_bytes > MAX_HELD_BYTES {
                self.violation(format!("I3: a viewer held {} bytes", viewer.log.peak_bytes));
            }
        }
    }

    /// Two sources in a row, the second with timestamps from 0: each leg has an offset of its own, and the recordings and
    /// the viewer have all of both, on one timeline.
    fn restart(&mut self) {
        let seen = self.seen;
        let shift = |m: &MediaMessage| MediaMessage { timestamp: m.timestamp.shifted(1 << 30), ..m.clone() };
        // The ledger's source has one timeline: the second begins far behind the first.
        let base = seen.sent.last().map_or(0, |m| i64::from(m.timestamp.as_millis()));
        let second = seen.second.iter().map(|m| {
            let shifted = shift(m);
            MediaMessage { timestamp: shifted.timestamp.shifted(base), ..shifted }
        });
        let sent: Vec<_> = seen.sent.iter().cloned().chain(second).collect();
        let options = Options { offset_per_leg: true, ..STRICT };
        let mut legs: Vec<_> = seen.recordings.iter().flatten().collect();
        legs.sort_by_key(|leg| leg.began);
        let report = ledger(options, &sent, legs.iter().map(|leg| leg.messages.as_slice()));
        // The first source just goes: what it had not delivered then is lost with it.
        if report.duplicated + report.reordered + report.altered + report.extra + report.overlap > 0 {
            self.violation(format!("H12: the recordings: {report}"));
        }
        self.lost_at_the_end(&report, "the recordings");
        for viewer in &seen.viewers {
            let got: Vec<_> =
                viewer.log.seen.iter().map(|(_, m)| m.clone()).filter(|m| m.info().is_media()).collect();
            self.monotonic("H12: the viewer", &got);
            let second = |m: &MediaMessage| number(m).is_some_and(|n| n >= 100_000);
            let cut = got.iter().position(second).unwrap_or(got.len());
            let report = ledger(options, &sent, [&got[..cut], &got[cut..]]);
            if report.duplicated + report.reordered + report.altered + report.extra > 0 {
                self.violation(format!("H12: the viewer: {report}"));
            }
            self.lost_at_the_end(&report, "the viewer");
        }
    }

    fn lost_at_the_end(&mut self, report: &Report, who: &str) {
        // Up to two one-way delays of media, and what a slow line had queued, were on their way when the first source broke its connection.
        let links = [Some(&self.plan.link), self.plan.link_b.as_ref()];
        let latency = links.iter().flatten().map(|link| link.latency.as_millis() as usize).max().unwrap_or(0);
        let per_ms = self.seen.sent.len().div_ceil(self.plan.shape.duration.as_millis() as usize);
        if report.missing as usize > per_ms * (2 * latency + 300) && !self.seen.troubled {
            self.violation(format!("H12: {who}: {report}"));
        }
    }
}

/// The number that the source wrote in a payload of a track without extension header.
fn number(message: &MediaMessage) -> Option<u32> {
    let at = if message.kind == TrackKind::Video { 5 } else { 2 };
    let bytes: [u8; 4] = message.payload.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// At each coded message, the sequence header of its track, and the metadata at those that a decoder can begin with.
fn configurations(messages: &[MediaMessage]) -> BTreeMap<Key, (Option<Bytes>, Option<Bytes>)> {
    let mut headers: BTreeMap<(TrackKind, u8), Bytes> = BTreeMap::new();
    let mut metadata = None;
    let mut all = BTreeMap::new();
    for message in messages {
        let info = message.info();
        match info.content {
            Content::Config(Config::SequenceHeader) => {
                headers.insert((message.kind, info.track), message.payload.clone());
            }
            Content::Config(Config::Metadata) => {
                metadata = Some(segue_proto::media::strip_set_data_frame(message.payload.clone()));
            }
            Content::Keyframe | Content::Frame => {
                let header = headers.get(&(message.kind, info.track)).cloned();
                all.insert(key(message), (header, metadata.clone()));
            }
            _ => {}
        }
    }
    all
}

fn story(plan: &Plan, seen: &Seen) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let shape = &plan.shape;
    let _ = writeln!(text, "{:?}: {shape:?}", plan.theme);
    let _ = writeln!(
        text,
        "links {} and {}",
        super::run::describe(&plan.link),
        plan.link_b.as_ref().map_or("the same".to_owned(), super::run::describe)
    );
    let _ = writeln!(text, "publisher {:?}, viewers {:?}", plan.publisher, plan.viewers);
    for line in &seen.story {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "publisher: {:?}", seen.publisher.outcome);
    for record in &seen.publisher.records {
        let _ = writeln!(
            text,
            "  {:?} {:?} {:?} -> {:?}, missing {:?}, overlap {:?}, last {:?}, first {:?}, confirmed {:?}",
            record.result,
            record.cause,
            record.from,
            record.to,
            record.missing,
            record.overlap,
            record.old_last_ts,
            record.new_first_ts,
            record.confirmed
        );
    }
    for notice in &seen.publisher.notices {
        let _ = writeln!(text, "  {notice}");
    }
    for legs in &seen.recordings {
        for leg in legs {
            let ends = [leg.messages.first(), leg.messages.last()].map(|m| m.map(|m| m.timestamp));
            let _ = writeln!(text, "leg of {:?}: {} messages, {ends:?}", leg.began, leg.messages.len());
        }
    }
    for viewer in &seen.viewers {
        let _ = writeln!(
            text,
            "viewer: {:?}, {} messages, last at {:?}",
            viewer.log.outcome,
            viewer.log.seen.len(),
            viewer.log.seen.last().map(|(at, m)| (*at, m.timestamp))
        );
        for record in &viewer.log.records {
            let _ = writeln!(
                text,
                "  {:?} {:?} {:?} -> {:?}, missing {:?}, overlap {:?}, last {:?}, first {:?}",
                record.result,
                record.cause,
                record.from,
                record.to,
                record.missing,
                record.overlap,
                record.old_last_ts,
                record.new_first_ts
            );
        }
        for notice in &viewer.log.notices {
            let _ = writeln!(text, "  {notice}");
        }
    }
    text
}
