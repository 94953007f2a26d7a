//! What each answer of Auth0 makes of what is known of credentials.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::core::obstacle::ObstacleReason;
use crate::tests::seeds;

const CHANCE: f64 = 1.0;
const SERIAL: u64 = 1;

fn silent() -> Obstacle {
    Obstacle { reason: ObstacleReason::RemoteUnavailable, message: "silent".to_owned(), tenant_wide: true }
}

fn missing(scopes: &[&str]) -> MissingScopes {
    MissingScopes { scopes: all(scopes), message: "missing".to_owned() }
}

fn all(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

fn accepted(renewal: Option<&str>) -> Answer {
    Answer::Accepted { renewal: renewal.map(str::to_owned) }
}

/// A read of the only connection.
fn here() -> Doing {
    (ConnectionKey::Name("shop".into()), false)
}

fn refused() -> Answer {
    Answer::Refused("refused".to_owned())
}

fn by_api() -> Answer {
    Answer::RefusedByApi("by the API".to_owned())
}

/// Credentials of which this is known, with a try in a minute.
fn known(answer: &Answer, missing: Option<MissingScopes>, now: Instant) -> Authentication {
    let due = Some(now + Duration::from_mins(1));
    Authentication { answer: answer.clone(), missing, evidence: Evidence::default(), unproved: false, trials: 0, due, failures: 3 }
}

#[test]
fn a_token_makes_every_answer_but_keeps_what_is_missing_unless_it_shows_better() {
    let now = Instant::now();
    let lacking = || missing(&["update:connections"]);
    for answer in [Answer::Untried, Answer::Unknown(silent()), refused(), by_api(), accepted(None), accepted(Some("renewal"))] {
        let kept = if let Answer::Accepted { .. } = &answer { answer.clone() } else { accepted(None) };
        for (lacks, granted, lacks_then, failures) in [
            (false, Some(&["read:connections"][..]), false, 0),
            (false, None, false, 0),
            (true, Some(&["read:connections"][..]), true, 4),
            (true, Some(&["update:connections"][..]), false, 0),
            (true, None, false, 3),
        ] {
            let mut one = known(&answer, lacks.then(lacking), now);
            one.token_granted(granted.map(all).as_deref(), 1, (now, CHANCE));
            assert_eq!((&one.answer, one.missing.is_some(), one.failures), (&kept, lacks_then, failures), "{answer:?} {lacks} {granted:?}");
        }
    }
}

#[test]
fn an_answer_about_a_connection_ends_a_refusal_by_the_api_and_says_what_is_news() {
    let now = Instant::now();
    for (answer, was_silent, renewal, news, after) in [
        (accepted(None), false, None, News::None, accepted(None)),
        (accepted(None), true, None, News::OfTheTenant, accepted(None)),
        (accepted(None), false, Some("renewal"), News::OfTheTenant, accepted(Some("renewal"))),
        (accepted(Some("renewal")), false, None, News::OfTheTenant, accepted(None)),
        (accepted(Some("renewal")), false, Some("renewal"), News::None, accepted(Some("renewal"))),
        (by_api(), false, None, News::AcceptedAgain, accepted(None)),
        (by_api(), true, Some("renewal"), News::AcceptedAgain, accepted(Some("renewal"))),
        (refused(), false, None, News::None, refused()),
        (Answer::Untried, false, None, News::None, Answer::Untried),
    ] {
        for lacks in [false, true] {
            let mut one = known(&answer, lacks.then(|| missing(&["x"])), now);
            if was_silent {
                one.unanswered(&ConnectionKey::Name("shop".into()), "silent", true, 1, now);
            }
            assert_eq!(one.answered(&here().0, renewal.map(str::to_owned)), news, "{answer:?}");
            assert_eq!((&one.answer, one.missing.is_some()), (&after, lacks), "{answer:?}");
            assert_eq!(one.due.is_none(), news == News::OfTheTenant && !lacks, "{answer:?}: what is over needs no try");
        }
    }
}

#[test]
fn what_is_said_of_the_tenant_follows_from_the_answer_the_scopes_and_the_silence() {
    let now = Instant::now();
    for (answer, lacks, was_silent, credentials) in [
        (Answer::Untried, false, false, CredentialsState::Untried),
        (Answer::Unknown(silent()), true, true, CredentialsState::Unknown(silent())),
        (refused(), true, true, CredentialsState::Refused("refused".to_owned())),
        (by_api(), false, false, CredentialsState::Refused("by the API".to_owned())),
        (accepted(None), false, false, CredentialsState::Granted),
        (accepted(None), false, true, CredentialsState::Troubled("silent".to_owned())),
        (accepted(Some("renewal")), false, false, CredentialsState::Troubled("renewal".to_owned())),
        (accepted(Some("renewal")), false, true, CredentialsState::Troubled("silent".to_owned())),
        (accepted(Some("renewal")), true, true, CredentialsState::Lacking("missing".to_owned())),
    ] {
        let mut one = known(&answer, lacks.then(|| missing(&["x"])), now);
        if was_silent {
            one.unanswered(&ConnectionKey::Name("shop".into()), "silent", true, 1, now);
        }
        assert_eq!(one.credentials_state(), credentials);
    }
}

#[test]
fn a_try_that_is_planned_is_not_put_off_and_each_failure_waits_longer() {
    let now = Instant::now();
    let mut one = Authentication::untried(now);
    assert_eq!(one.due(), Some(now));
    let seconds = |one: &Authentication| one.due().map(|due| due.duration_since(now).as_secs());
    for expected in [1, 2, 4] {
        one.begin();
        one.token_denied(Ok(silent()), None, (now, CHANCE));
        assert_eq!(seconds(&one), Some(expected));
    }
    one.begin();
    one.token_denied(Err("refused".to_owned()), Some(now + Duration::from_secs(99)), (now, CHANCE));
    assert_eq!((seconds(&one), one.answer()), (Some(99), &refused()), "as long as the token endpoint asks for");
    one.refused_by_api(here(), "by the API".to_owned(), (now, CHANCE));
    one.scopes_are_missing(missing(&["x"]), (now, CHANCE));
    one.call_was_tried((now, CHANCE));
    assert_eq!((seconds(&one), one.failures), (Some(99), 4));
    one.begin();
    one.unanswered(&ConnectionKey::Name("shop".into()), "silent", true, 1, now);
    one.call_was_tried((now, CHANCE));
    assert_eq!((seconds(&one), one.failures), (Some(10), 4));
}

#[test]
fn options_that_are_shown_end_a_lack_of_their_scope_where_the_token_does_not_say() {
    let now = Instant::now();
    let named = all(&["read:connections"]);
    for (scopes, token, ends) in
        [(&[READ_OPTIONS][..], None, true), (&[READ_OPTIONS], Some(&*named), false), (&["update:connections"], None, false)]
    {
        let mut one = known(&accepted(None), Some(missing(scopes)), now);
        assert_eq!(one.showed_options(Token { scopes: token, serial: SERIAL }), ends);
        assert_eq!(one.missing().is_none(), ends);
    }
}

/// What may come of a try, or of a call of a pass.
#[derive(Clone, Copy, Debug)]
enum Event {
    Token { names_scopes: bool },
    NoToken,
    Answer,
    Refusal,
    MissingScope,
    Silence,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(|names_scopes| Event::Token { names_scopes }),
        Just(Event::NoToken),
        Just(Event::Answer),
        Just(Event::Refusal),
        Just(Event::MissingScope),
        Just(Event::Silence),
    ]
}

/// A try that is due, as the tenant makes it.
fn is_tried(one: &mut Authentication, event: Event, now: Instant) {
    one.begin();
    match event {
        Event::Token { .. } if one.is_refused_by_api() => one.nothing_to_ask_about((now, CHANCE)),
        Event::Token { names_scopes } => {
            let scopes = names_scopes.then(|| all(&["read:connections"]));
            one.token_granted(scopes.as_deref(), 1, (now, CHANCE));
        }
        call if one.is_refused_by_api() => {
            is_called(one, call, now);
            one.call_was_tried((now, CHANCE));
        }
        Event::NoToken | Event::Answer | Event::Refusal | Event::MissingScope | Event::Silence => {
            one.token_denied(Ok(silent()), None, (now, CHANCE));
        }
    }
}

/// A call of a pass.
fn is_called(one: &mut Authentication, event: Event, now: Instant) {
    match event {
        Event::Token { .. } | Event::Answer => drop(one.answered(&here().0, None)),
        Event::NoToken => one.token_denied(Ok(silent()), None, (now, CHANCE)),
        Event::Refusal => {
            one.refused_by_api(here(), "by the API".to_owned(), (now, CHANCE));
        }
        Event::MissingScope => one.scopes_are_missing(missing(&["update:connections"]), (now, CHANCE)),
        Event::Silence => one.unanswered(&ConnectionKey::Name("shop".into()), "silent", true, 1, now),
    }
}

#[test]
fn whatever_is_said_against_a_tenant_has_a_date_at_which_it_is_tried_again() {
    seeds::hold(500, &vec((any::<bool>(), event()), 1..20), |history| {
        let mut now = Instant::now();
        let mut one = Authentication::untried(now);
        for (tries, event) in history {
            match one.due() {
                Some(due) if tries => {
                    now = now.max(due);
                    is_tried(&mut one, event, now);
                }
                _ if one.is_accepted() => is_called(&mut one, event, now),
                _ => {}
            }
            prop_assert!(one.credentials_state() == CredentialsState::Granted || one.due().is_some(), "{one:?}");
        }
        Ok(())
    });
}

#[test]
fn who_asks_has_credentials_tried_now_that_are_not_accepted_as_a_whole_and_no_others() {
    let now = Instant::now();
    for (name, makes, is_tried) in [
        ("accepted", (|_| {}) as fn(&mut Authentication), false),
        ("untried", |_| {}, true),
        ("refused", |one| one.token_denied(Err("no".to_owned()), None, (Instant::now(), CHANCE)), true),
        (
            "refused by the API",
            |one| {
                one.refused_by_api(here(), "no".to_owned(), (Instant::now(), CHANCE));
            },
            true,
        ),
        (
            "not renewed",
            |one| {
                one.answered(&here().0, Some("no".to_owned()));
            },
            true,
        ),
        ("lacking", |one| one.scopes_are_missing(missing(&["update:connections"]), (Instant::now(), CHANCE)), true),
    ] {
        let mut one = Authentication::untried(now);
        if name != "untried" {
            one.begin();
            one.token_granted(None, 1, (now, CHANCE));
        }
        makes(&mut one);
        assert_eq!(one.asked_for(now), is_tried, "{name}");
        assert_eq!(one.due().is_some_and(|due| due <= now), is_tried, "{name}");
    }
}

#[test]
fn a_connection_that_hides_its_options_from_a_token_of_unknown_scopes_has_new_ones_tried_less_and_less_often_until_it_shows_them() {
    let named = all(&[READ_OPTIONS]);
    let shop = here().0;
    let mut one = Authentication::untried(Instant::now());
    let mut pauses = Vec::new();
    let mut now = Instant::now();
    for serial in 1..=4 {
        one.begin();
        one.token_granted(None, 2, (now, CHANCE));
        assert!(!one.needs_new_token() && one.due().is_none());
        let token = Token { scopes: None, serial };
        assert!(!one.hid_options(&shop, token, 2, (now, CHANCE)), "it may be the connection's own trouble");
        assert!(one.needs_new_token() && one.credentials_state() == CredentialsState::Granted);
        pauses.push(one.due().expect("a date") - now);
        now = one.due().expect("a date");
    }
    assert!(pauses.is_sorted() && pauses[3] >= pauses[0] * 4, "{pauses:?}");
    one.begin();
    one.token_granted(None, 2, (now, CHANCE));
    one.showed_options(Token { scopes: None, serial: 5 });
    assert!(
        !one.hid_options(&shop, Token { scopes: None, serial: 5 }, 2, (now, CHANCE)) && !one.needs_new_token(),
        "it shows them elsewhere"
    );
    assert!(
        !one.hid_options(&shop, Token { scopes: Some(&named), serial: 6 }, 2, (now, CHANCE)) && !one.needs_new_token(),
        "it has the scope"
    );
    assert!(one.due().is_none());
}
