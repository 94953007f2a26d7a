//! Paging and query strings, as every list of the Management API has them.
//!
//! Source: Auth0's `OpenAPI` document of the Management API v2, and recorded refusals.

use super::answer::Answer;
use super::certificate::{base64url, unbase64};

/// Offset paging reaches this many entries, however many there are.
const OFFSET_CAP: usize = 1000;

/// A checkpoint is good for a day.
const CHECKPOINT_LIFETIME: f64 = 86_400.0;

/// Refuses parameters that the route does not have.
pub(crate) fn allow(query: &[(String, String)], known: &[&str]) -> Result<(), Answer> {
    let unknown: Vec<&str> = query.iter().map(|(key, _)| key.as_str()).filter(|key| !known.contains(key)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Answer::invalid_query(&format!("Query validation error: 'Additional properties not allowed: {}'.", unknown.join(","))))
}

pub(crate) fn query_error(reason: &str, property: &str, description: &str) -> Answer {
    Answer::invalid_query(&format!("Query validation error: '{reason}' on property {property} ({description})."))
}

pub(crate) fn number(key: &str, value: &str, least: usize, most: usize, description: &str) -> Result<usize, Answer> {
    let Ok(number) = value.parse::<i64>() else {
        return Err(query_error("Expected type integer but found type string", key, description));
    };
    match usize::try_from(number) {
        Ok(number) if number > most => Err(query_error(&format!("Value {number} is greater than maximum {most}"), key, description)),
        Ok(number) if number >= least => Ok(number),
        _ => Err(query_error(&format!("Value {number} is less than minimum {least}"), key, description)),
    }
}

pub(crate) fn boolean(key: &str, value: &str) -> Result<bool, Answer> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(query_error("Expected type boolean but found type string", key, "true or false")),
    }
}

/// The refusal of a page that offset paging does not reach.
pub(crate) fn beyond_cap(page: usize, per_page: usize) -> Option<Answer> {
    (page.saturating_add(1).saturating_mul(per_page) > OFFSET_CAP).then(|| {
        let message = format!(
            "Requesting page {page} exceeds the allowed maximum of {OFFSET_CAP} records. To fetch results beyond {OFFSET_CAP}, use the \
             checkpoint pagination method."
        );
        Answer::error(400, &message, Some("invalid_query_string"))
    })
}

/// A checkpoint behind an entry of a list, as an opaque text.
pub(crate) fn cursor(list: &str, seq: u64, now: f64) -> String {
    base64url(format!("{list}:{seq}:{now:.0}").as_bytes())
}

/// The entry a checkpoint points behind; `None` when it is not one, or too old.
pub(crate) fn last_seen(list: &str, cursor: &str, now: f64) -> Option<u64> {
    let text = String::from_utf8(unbase64(cursor)?).ok()?;
    let (seq, issued) = text.strip_prefix(list)?.strip_prefix(':')?.split_once(':')?;
    let issued: f64 = issued.parse().ok()?;
    (now - issued <= CHECKPOINT_LIFETIME).then_some(seq.parse().ok()?)
}
