//! Tables of what a Lease means.

use super::*;

const US: &str = "ns/us_1";
const LEFT: Duration = Duration::from_secs(7);

/// What was seen, how many seconds after the first look.
type Look = (u64, Option<Record>);

fn held(holder: &str, renewed: &str) -> Record {
    Record::held(holder, "2026-01-01T00:00:00.000000Z".to_owned(), renewed.to_owned(), 4)
}

fn settled(transitions: i64) -> Standing {
    Standing::Free { transitions, before: Before::Settled }
}

fn ran_out(transitions: i64) -> Standing {
    Standing::Free { transitions, before: Before::RanOut }
}

/// What a candidate makes of the last of these looks, each so many seconds after the first, where no operator ever worked as far
/// as it knows.
fn after(looks: &[Look]) -> Standing {
    after_where(false, looks)
}

/// The same, and whether some operator ever worked.
fn after_where(worked: bool, looks: &[Look]) -> Standing {
    let (mut candidate, start) = (Candidate::new(US.to_owned()), Instant::now());
    let mut standing = Standing::Held(Duration::ZERO);
    for (nth, (seconds, record)) in looks.iter().enumerate() {
        // Once a second until the next.
        let until = looks.get(nth + 1).map_or(seconds + 1, |(next, _)| *next);
        for second in *seconds..until {
            standing = candidate.sees(record.as_ref(), worked, start + Duration::from_secs(second));
        }
    }
    standing
}

#[test]
fn what_a_lease_means_for_whoever_wants_it() {
    let other = |renewed| Some(held("ns/other_2", renewed));
    let with = |change: fn(&mut Record)| {
        let mut record = held("ns/other_2", "a");
        change(&mut record);
        Some(record)
    };
    let given_back = Some(held("ns/other_2", "a").given_back("b".to_owned()));
    let for_seconds = |seconds| Standing::Held(Duration::from_secs(seconds));
    let table: Vec<(&str, Vec<Look>, Standing)> = vec![
        ("never there", vec![(0, None)], settled(0)),
        ("made by somebody, and never held", vec![(0, Some(Record::default()))], settled(0)),
        ("given back", vec![(0, given_back.clone())], settled(5)),
        ("given back while somebody waits", vec![(0, other("a")), (1, given_back)], settled(5)),
        ("held, whatever its dates say", vec![(0, other("1999-01-01T00:00:00.000000Z"))], for_seconds(20)),
        (
            "held, and in the future",
            vec![(0, other("9999-01-01T00:00:00.000000Z")), (13, other("9999-01-01T00:00:00.000000Z"))],
            Standing::Held(LEFT),
        ),
        ("run out", vec![(0, other("a")), (20, other("a"))], ran_out(5)),
        ("renewed in time", vec![(0, other("a")), (19, other("b")), (32, other("b"))], Standing::Held(LEFT)),
        ("renewed after it had run out, before it was taken", vec![(0, other("a")), (25, other("a")), (26, other("b"))], for_seconds(20)),
        ("asleep until it had run out, and it was renewed meanwhile", vec![(0, other("a")), (60, other("z"))], for_seconds(20)),
        ("passed on to a third", vec![(0, other("a")), (19, Some(held("ns/third_3", "a")))], for_seconds(20)),
        ("deleted under whoever holds it", vec![(0, other("a")), (13, None)], for_seconds(20)),
        ("deleted, and not made again", vec![(0, other("a")), (13, None), (33, None)], ran_out(0)),
        ("emptied under whoever holds it", vec![(0, other("a")), (13, Some(Record::default()))], for_seconds(20)),
        ("emptied, and left so", vec![(0, other("a")), (13, Some(Record::default())), (33, Some(Record::default()))], ran_out(0)),
        ("a holder taken out by hand", vec![(0, with(|record| record.holder = Some(String::new())))], for_seconds(20)),
        ("no holder", vec![(0, with(|record| record.holder = None))], for_seconds(20)),
        ("no dates", vec![(0, with(|record| (record.acquired, record.renewed) = (None, None)))], for_seconds(20)),
        ("no length", vec![(0, with(|record| record.seconds = None))], for_seconds(20)),
        ("a length of nought", vec![(0, with(|record| record.seconds = Some(0)))], for_seconds(20)),
        ("a negative length", vec![(0, with(|record| record.seconds = Some(-5)))], for_seconds(20)),
        ("a short length", vec![(0, with(|record| record.seconds = Some(1)))], for_seconds(20)),
        ("the longer length of another version", vec![(0, with(|record| record.seconds = Some(45)))], for_seconds(45)),
        ("a length of years", vec![(0, with(|record| record.seconds = Some(i64::MAX)))], for_seconds(60)),
        ("deleted, and of a longer length", vec![(0, with(|record| record.seconds = Some(45))), (1, None)], for_seconds(45)),
        (
            "a count below nought",
            vec![(0, with(|record| record.transitions = Some(-1))), (20, with(|record| record.transitions = Some(-1)))],
            ran_out(0),
        ),
        (
            "the highest count",
            vec![
                (0, with(|record| record.transitions = Some(i64::from(i32::MAX)))),
                (20, with(|record| record.transitions = Some(i64::from(i32::MAX)))),
            ],
            ran_out(0),
        ),
        (
            "our own, which was not renewed in time",
            vec![(0, Some(held(US, "a")))],
            Standing::Free { transitions: 4, before: Before::Ourselves },
        ),
        ("our own again", vec![(0, other("a")), (1, Some(held(US, "a")))], Standing::Free { transitions: 4, before: Before::Ourselves }),
    ];
    for (what, looks, expected) in table {
        assert_eq!(after(&looks), expected, "{what}");
    }
}

#[test]
fn where_an_operator_worked_before_a_lease_that_is_not_there_is_held_by_somebody_unknown() {
    let blank = || Some(Record::default());
    let given_back = Some(held("ns/other_2", "a").given_back("b".to_owned()));
    let for_seconds = |seconds| Standing::Held(Duration::from_secs(seconds));
    for (what, looks, expected) in [
        ("deleted", vec![(0, None)], for_seconds(20)),
        ("deleted, from the first look on", vec![(0, None), (13, None)], Standing::Held(LEFT)),
        ("deleted, and not made again", vec![(0, None), (13, None), (20, None)], ran_out(0)),
        ("deleted, and made again by its holder", vec![(0, None), (13, Some(held("ns/other_2", "a")))], for_seconds(20)),
        ("deleted, and given back after it was made again", vec![(0, None), (1, given_back.clone())], settled(5)),
        ("emptied", vec![(0, blank()), (13, blank())], Standing::Held(LEFT)),
        ("emptied, and left so", vec![(0, blank()), (20, blank())], ran_out(0)),
        ("given back", vec![(0, given_back)], settled(5)),
    ] {
        assert_eq!(after_where(true, &looks), expected, "{what}");
    }
}

#[test]
fn that_an_operator_worked_may_show_after_the_first_look_from_which_the_time_counts_all_the_same() {
    let (mut candidate, start) = (Candidate::new(US.to_owned()), Instant::now());
    assert_eq!(candidate.sees(None, false, start), settled(0));
    for second in 1..13 {
        assert_eq!(candidate.sees(None, false, start + Duration::from_secs(second)), settled(0));
    }
    assert_eq!(candidate.sees(None, true, start + Duration::from_secs(13)), Standing::Held(LEFT));
    assert_eq!(candidate.sees(None, false, start + Duration::from_secs(14)), Standing::Held(Duration::from_secs(6)));
}

#[test]
fn a_lease_that_was_out_of_sight_for_long_may_have_been_held_where_it_is_not_there() {
    for blank in [None, Some(Record::default())] {
        let (mut candidate, start) = (Candidate::new(US.to_owned()), Instant::now());
        let mut left = |seconds| match candidate.sees(blank.as_ref(), true, start + Duration::from_secs(seconds)) {
            Standing::Held(left) => Some(left.as_secs()),
            Standing::Free { .. } => None,
        };
        assert_eq!(
            [0, 4, 8, 13, 14, 32, 36, 40, 44, 48, 51, 52].map(&mut left).map(|left| left.unwrap_or(0)),
            [20, 16, 12, 20, 19, 20, 16, 12, 8, 4, 1, 0]
        );
    }
    let (mut candidate, start) = (Candidate::new(US.to_owned()), Instant::now());
    let other = held("ns/other_2", "a");
    assert_eq!(candidate.sees(Some(&other), true, start), Standing::Held(LENGTH));
    assert_eq!(candidate.sees(Some(&other), true, start + LENGTH), ran_out(5), "nobody renewed it");
}

#[test]
fn what_a_leader_makes_of_a_lease_that_is_not_as_it_left_it() {
    let emptied = |transitions| Record { holder: Some(String::new()), transitions, ..held(US, "a") };
    for (what, found, expected) in [
        ("deleted", None, Claim::Stands),
        ("labelled by somebody", Some(held(US, "a")), Claim::Stands),
        ("its dates changed", Some(Record { acquired: None, renewed: None, seconds: Some(1), ..held(US, "a") }), Claim::Stands),
        ("somebody else's", Some(held("ns/other_2", "a")), Claim::Lost),
        ("emptied by hand", Some(emptied(Some(4))), Claim::Stands),
        ("blank", Some(Record::default()), Claim::Stands),
        ("emptied, after it was another's", Some(emptied(Some(5))), Claim::Lost),
        ("given back by another", Some(held("ns/other_2", "a").given_back("b".to_owned())), Claim::Lost),
    ] {
        assert_eq!(claim(US, 4, found.as_ref()), expected, "{what}");
    }
}

#[test]
fn what_was_seen_before_it_held_the_lease_is_forgotten() {
    let (mut candidate, start) = (Candidate::new(US.to_owned()), Instant::now());
    assert_eq!(candidate.sees(Some(&held("ns/other_2", "a")), false, start), Standing::Held(LENGTH));
    candidate.holds_it();
    // An hour later the same text is a Lease of which nothing is known.
    assert_eq!(candidate.sees(Some(&held("ns/other_2", "a")), false, start + Duration::from_hours(1)), Standing::Held(LENGTH));
    assert_eq!(candidate.identity(), US);
}

#[test]
fn a_write_that_starts_in_time_ends_before_the_lease_and_a_leader_gives_up_before_it() {
    const { assert!(RENEWAL.as_secs() + REQUEST.as_secs() < GIVE_UP.as_secs() && GIVE_UP.as_secs() < LENGTH.as_secs()) };
}
