//! Which noise comes next: drawn from a seed.

use auth0_emulator::ALIASES;

use super::{Complaint, Edit, MARKER, Meets, Misfortune, Plan, SCOPES, TenantAction, Trouble};

/// What is drawn from: what a history speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The names of connections, whether or not they are there.
    pub connections: &'a [String],
    /// Upstream parameters that are declared somewhere: the name, and the entry as JSON text.
    pub params: &'a [(String, String)],
}

/// The types of connections that are created: such as take upstream parameters, and such as do not.
const STRATEGIES: [&str; 8] = ["oauth2", "oidc", "wordpress", "google-oauth2", "waad", "facebook", "samlp", "auth0"];

/// Names of parameters that nobody declares.
const THEIRS: [&str; 3] = ["theirs", "a b", "x.y"];

/// Entries that equal nothing that can be declared, and that the API refuses when they are sent back.
const ODD: [&str; 9] = [
    "{}",
    "null",
    "17",
    "\"m4rk3r-bare\"",
    "[]",
    "{\"value\":1}",
    "{\"value\":\"m4rk3r-both\",\"alias\":\"login_hint\"}",
    "{\"alias\":\"m4rk3r-alias\"}",
    "{\"value\":{\"m4rk3r\":[1.0,null]}}",
];

/// Draws what happens next: faults nearly half of the time.
pub fn draw(rng: &mut fastrand::Rng, around: &Around<'_>) -> TenantAction {
    let connection = connection(rng, around);
    match rng.u8(0..100) {
        0..45 => TenantAction::Trouble(trouble(rng, around)),
        45..47 => TenantAction::TokensRevoked,
        47..49 => TenantAction::TokensExpired,
        49 => TenantAction::TokenLifetime(pick(rng, &[5, 60, 3600, 86_400])),
        50 => TenantAction::TokensNameScopes(rng.bool()),
        51..60 => credentials(rng),
        60..63 => TenantAction::Deleted(connection),
        63..66 => TenantAction::Created { name: connection, strategy: strategy(rng), number: number(rng) },
        66..69 => TenantAction::Remade { name: connection, strategy: strategy(rng), number: number(rng) },
        69 => {
            TenantAction::Quoted { connection, value: format!("https://idp.example.com/{MARKER}-{}", number(rng)), times: rng.usize(1..3) }
        }
        70..93 => TenantAction::Edited(connection, edit(rng, around)),
        93..95 => TenantAction::DisplayName(connection, number(rng)),
        95 => TenantAction::NoDisplayName(connection),
        96..98 => TenantAction::Limits(pick(rng, &[Plan::Unlimited, Plan::Free, Plan::Essentials, Plan::Scarce])),
        _ => TenantAction::Skew(pick(rng, &[-90_000, -600, -30, 0, 30, 600, 90_000])),
    }
}

/// Something happens to the operator's client: half of the time so that it is felt at once.
fn credentials(rng: &mut fastrand::Rng) -> TenantAction {
    let action = match rng.u8(0..9) {
        0..2 => TenantAction::SecretRotated(rng.u32(1..4)),
        2 => TenantAction::SecretRestored,
        3 => TenantAction::GrantRemoved,
        4 => TenantAction::ClientRemoved,
        _ => TenantAction::Scopes(scopes(rng)),
    };
    if rng.bool() { TenantAction::WithTokensRevoked(Box::new(action)) } else { action }
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

/// A number by which what is made is told apart.
fn number(rng: &mut fastrand::Rng) -> u32 {
    rng.u32(1..1000)
}

fn connection(rng: &mut fastrand::Rng, around: &Around<'_>) -> String {
    match around.connections {
        [] => "none".to_owned(),
        some => some[rng.usize(0..some.len())].clone(),
    }
}

fn strategy(rng: &mut fastrand::Rng) -> String {
    // Mostly such as take upstream parameters.
    let of = if rng.u8(0..4) > 0 { &STRATEGIES[..6] } else { &STRATEGIES[..] };
    pick(rng, of).to_owned()
}

/// All scopes, all but one, or hardly any.
fn scopes(rng: &mut fastrand::Rng) -> Vec<String> {
    let without = rng.usize(0..8);
    let held = |place: usize| match without {
        0..4 => place != without,
        // Only `options` are hidden, or can be read and nothing else.
        4 => place != 1,
        5 => place == 1,
        6 => false,
        _ => true,
    };
    SCOPES.iter().enumerate().filter(|(place, _)| held(*place)).map(|(_, scope)| (*scope).to_owned()).collect()
}

/// The name of a parameter, and how it is declared where it is.
fn param<'a>(rng: &mut fastrand::Rng, around: &Around<'a>) -> (&'a str, Option<&'a str>) {
    match around.params {
        params if params.is_empty() || rng.u8(0..5) == 0 => (pick(rng, &THEIRS), None),
        params => {
            let (name, entry) = &params[rng.usize(0..params.len())];
            (name, Some(entry))
        }
    }
}

fn edit(rng: &mut fastrand::Rng, around: &Around<'_>) -> Edit {
    let (name, declared) = param(rng, around);
    let number = number(rng);
    let another = format!(r#"{{"value":"{MARKER}-value-{number}"}}"#);
    match rng.u8(0..24) {
        0..5 => Edit::Param(name.to_owned(), declared.map_or(another, str::to_owned)),
        5..9 => Edit::Param(name.to_owned(), another),
        9 => Edit::Param(name.to_owned(), format!(r#"{{"alias":"{}"}}"#, pick(rng, &ALIASES))),
        10 => Edit::Param(name.to_owned(), pick(rng, &ODD).to_owned()),
        11..15 => Edit::ParamRemoved(name.to_owned()),
        15 => Edit::Params(pick(rng, &["null", "{}", "[]", "\"m4rk3r-text\"", "{\"theirs\":{\"value\":\"m4rk3r-all\"}}"]).to_owned()),
        16 => Edit::ParamsRemoved,
        17..22 => foreign_edit(rng, number),
        _ => Edit::Imported(number),
    }
}

/// Somebody minds their own business.
fn foreign_edit(rng: &mut fastrand::Rng, number: u32) -> Edit {
    let (key, value) = match rng.u8(0..8) {
        0 => ("client_secret", format!(r#""{MARKER}-secret-{number}""#)),
        1 => ("nested", format!(r#"{{"deep":[{{"{number}":"{MARKER}"}},null,[1.0,-0.0,1E+4]]}}"#)),
        2 => ("big", format!("{number}12345678901234567890123")),
        3 => ("escaped", format!(r#""\"{MARKER}\\\u00e9\n\u0001 {number}""#)),
        4 => ("", format!(r#"["{MARKER}",{number}.50]"#)),
        5 => ("options", format!(r#"{{"upstream_params":{{"blog":{{"value":"{MARKER}-{number}"}}}}}}"#)),
        6 => ("none", "null".to_owned()),
        _ => return Edit::OptionRemoved(pick(rng, &["client_secret", "nested", "escaped", "none"]).to_owned()),
    };
    Edit::Option(key.to_owned(), value)
}

fn trouble(rng: &mut fastrand::Rng, around: &Around<'_>) -> Trouble {
    let meets = match rng.u8(0..20) {
        0..2 => Meets::Everything,
        2..5 => Meets::Tokens,
        5..8 => Meets::Reads,
        8 => Meets::Lists,
        9..14 => Meets::Writes,
        14..17 => Meets::Connection(connection(rng, around)),
        _ => Meets::WritesTo(connection(rng, around)),
    };
    let what = misfortune(rng, around, &meets);
    let after = if rng.u8(0..4) > 0 { 0 } else { rng.usize(1..4) };
    let times = (rng.u8(0..6) > 0).then(|| rng.usize(1..4));
    Trouble { meets, after, times, what }
}

fn misfortune(rng: &mut fastrand::Rng, around: &Around<'_>, meets: &Meets) -> Misfortune {
    match rng.u8(0..30) {
        0..12 => status(rng, around, meets),
        12..15 => Misfortune::RateLimited {
            global: rng.bool(),
            reset: pick(rng, &[None, Some(0), Some(1), Some(7), Some(60)]),
            retry_after: pick(rng, &[None, None, Some(0), Some(2), Some(30)]),
        },
        15 => Misfortune::NotJson,
        16 => Misfortune::ErrorBodyWith200,
        17..19 => Misfortune::CutBody,
        19..22 => Misfortune::LoseAnswer,
        22 => Misfortune::HangAfter,
        23 => Misfortune::Drop,
        24 => Misfortune::Hang,
        25 => Misfortune::HugeBody,
        26 => Misfortune::Redirect,
        // With the way there no longer than a write may take that lands after its sender gave up: as long again.
        27 => Misfortune::Delay(pick(rng, &[100, 1_900, 2_100, 5_000, 9_900, 10_100, 10_500])),
        _ if matches!(meets, Meets::Tokens) => Misfortune::Drop,
        _ => Misfortune::EditBetween(edit(rng, around)),
    }
}

/// A status that such calls get, with what it says.
fn status(rng: &mut fastrand::Rng, around: &Around<'_>, meets: &Meets) -> Misfortune {
    let broken = |rng: &mut fastrand::Rng| {
        let says = rng.choice([Complaint::Plain, Complaint::Empty, Complaint::Page, Complaint::Torn]).unwrap_or(Complaint::Plain);
        Misfortune::Status(pick(rng, &[500, 502, 503, 504]), says)
    };
    let case = rng.u8(0..10);
    let (status, says) = match (meets, case) {
        (_, 0..4) => return broken(rng),
        (Meets::Tokens, 4) => (400, Complaint::Plain),
        (Meets::Tokens, 5) => (401, Complaint::Denied),
        (Meets::Tokens, 6) => (403, Complaint::Denied),
        (Meets::Tokens, 7) => (404, Complaint::Plain),
        (Meets::Tokens, _) => (429, Complaint::Quota),
        (_, 4) => (401, pick_of(rng, [Complaint::InvalidToken, Complaint::Plain])),
        (Meets::Writes | Meets::WritesTo(_), 5) => {
            let (name, declared) = param(rng, around);
            let path = if declared.is_some() && rng.bool() { format!("{name}.value") } else { name.to_owned() };
            (400, pick_of(rng, [Complaint::Entry(path), Complaint::Params]))
        }
        (Meets::Writes | Meets::WritesTo(_), 6) => {
            (403, pick_of(rng, [Complaint::MissingScope("update:connections".to_owned()), Complaint::MissingOptionsScope]))
        }
        (_, 5) => (400, Complaint::Plain),
        (_, 6) => (403, Complaint::MissingScope("read:connections".to_owned())),
        (_, 7) => (403, pick_of(rng, [Complaint::Subscription, Complaint::Feature, Complaint::Plain])),
        (_, 8) => (404, pick_of(rng, [Complaint::NoConnection, Complaint::Plain])),
        (_, _) => (409, Complaint::Conflict),
    };
    Misfortune::Status(status, says)
}

fn pick_of<const N: usize>(rng: &mut fastrand::Rng, of: [Complaint; N]) -> Complaint {
    rng.choice(of).unwrap_or(Complaint::Plain)
}
