//! Durations on the command line: seconds, with decimals if wanted.

use std::time::Duration;

/// The longest that is meant seriously: a year.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// Parses `2`, `0.5`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return Err(format!("must be from 0 to {MAX_SECONDS} seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_with_decimals_within_bounds() {
        assert_eq!(parse("25"), Ok(Duration::from_secs(25)));
        assert_eq!(parse("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert_eq!(parse(&MAX_SECONDS.to_string()), Ok(Duration::from_secs(366 * 86_400)));
        for bad in ["", "x", "-1", "nan", "inf", "1s", "31622401"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
