//! What flags and environment make of credentials.

use super::duration;

#[test]
fn a_span_is_read_as_people_write_it() {
    for (text, seconds) in [("30s", Some(30)), ("10m", Some(600)), ("1h30m", Some(5_400)), ("45", Some(45)), ("168h", Some(604_800))] {
        assert_eq!(duration(text).ok().map(|span| span.as_secs()), seconds, "{text}");
    }
    for text in ["", "0", "-5s", "169h", "soon", "1e9", "99999999999999999999"] {
        assert!(duration(text).is_err(), "{text}");
    }
}
