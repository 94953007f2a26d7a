//! Histories of fixed seeds: some of every kind, and every one that ever failed.

use super::{assert_holds, run, story};
use crate::history::{History, Seed};
use crate::run::run as run_and_report;

/// How many seeds are run, from 1 on.
const SEEDS: u64 = 32;

#[test]
fn no_law_is_broken_in_the_histories_of_the_first_seeds() {
    for seed in 1..=SEEDS {
        check(Seed { number: seed, asks: false }, "");
    }
}

#[test]
fn no_law_is_broken_in_any_history_that_ever_broke_one() {
    let seeds = include_str!("seeds.txt");
    let mut count = 0;
    for line in seeds.lines().filter(|line| !line.starts_with('#')) {
        let (seed, found) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} does not say what the seed found"));
        let (number, asks) = seed.strip_suffix('?').map_or((seed, false), |number| (number, true));
        check(Seed { number: number.parse().unwrap(), asks }, found.trim());
        count += 1;
    }
    assert!(count > 0);
}

fn check(seed: Seed, found: &str) {
    let history = History::of(seed);
    let (report, _) = run(&history);
    assert_holds(&history, &report, &format!("{seed:?} ({found})"));
    assert!(report.steps > 5, "{seed:?}: only {} things happened", report.steps);
}

/// Whatever it depends on beside its seed would show here: the order of a `HashMap`, a clock, another thread.
#[test]
fn a_seed_tells_the_same_story_every_time_on_every_thread() {
    for seed in [19, 1112] {
        let history = History::draw(seed);
        let first = story(&history);
        assert!(first.lines().count() > 20, "seed {seed}: {first}");
        assert!(first == story(&history), "seed {seed} tells another story on the same thread");
        let again = std::thread::spawn(move || story(&History::draw(seed))).join().unwrap();
        assert!(first == again, "seed {seed} tells another story on another thread");
    }
}

/// A history that is told is the one that is not told: telling changes nothing.
#[test]
fn a_history_that_is_told_takes_the_same_steps() {
    for seed in 1..4 {
        let history = History::draw(seed);
        let (quiet, _) = run(&history);
        let told = run_and_report(&history, true);
        assert_eq!((quiet.steps, quiet.lasted, quiet.coverage), (told.steps, told.lasted, told.coverage), "seed {seed}");
    }
}

/// Or a seed would count for nothing.
#[test]
fn seeds_differ() {
    let stories: Vec<String> = (1..=3).map(|seed| story(&History::draw(seed))).collect();
    for (nth, one) in stories.iter().enumerate() {
        assert!(stories[..nth].iter().all(|other| other != one), "seed {} tells the story of another", nth + 1);
    }
}
