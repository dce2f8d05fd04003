//! What a process costs, by Linux's `/proc`: resident memory now and at its peak, and the time that it computed.

use std::fs;
use std::time::Duration;

use crate::Proc;

/// `USER_HZ`: what the times in `/proc/PID/stat` count, 10 ms each, on every architecture that the tests run on.
const TICKS_PER_SECOND: u64 = 100;

/// What a process had taken at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Resident memory, in bytes.
    pub rss: u64,
    /// Its peak since [`forget_peak`].
    pub peak: u64,
    /// User and system time of all its threads.
    pub cpu: Duration,
}

/// What `proc` has taken so far.
pub fn of(proc: &Proc) -> Cost {
    let read = |file: &str| {
        let path = format!("/proc/{}/{file}", proc.id());
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let status = read("status");
    let kib = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {key}: {status}"))
    };
    let ticks = ticks(&read("stat")).expect("a line of /proc/PID/stat");
    let cpu = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    Cost { rss: kib("VmRSS") << 10, peak: kib("VmHWM") << 10, cpu }
}

/// Fields 14 and 15, counted from the end of the name, which may hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Lets the peak of `proc` begin anew, at what is resident now.
pub fn forget_peak(proc: &Proc) {
    let path = format!("/proc/{}/clear_refs", proc.id());
    fs::write(&path, "5").unwrap_or_else(|e| panic!("{path}: {e}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bench;
    use std::process::Command;

    /// After proc(5): state is field 3, utime and stime are fields 14 and 15.
    #[test]
    fn times_are_found_behind_any_name() {
        assert_eq!(ticks("7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0"), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_process_that_computes_is_seen_to() {
        let bench = Bench::new("cost");
        let mut busy = Command::new("sh");
        busy.args(["-c", "while :; do :; done"]);
        let busy = Proc::start(&bench, "busy", busy);
        crate::bench::wait_for("a busy process", Duration::from_secs(20), || {
            (of(&busy).cpu > Duration::from_millis(20)).then_some(())
        });
        forget_peak(&busy);
        let cost = of(&busy);
        assert!(cost.rss > 0 && cost.peak >= cost.rss / 2, "{cost:?}");
    }
}
