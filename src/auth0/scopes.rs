//! Scopes of the Management API: those that this operator needs, and how one is told from other words.

/// The scopes without which this operator can't do its work ("Auth0 Management API v2, Connections").
pub(crate) const NEEDED_SCOPES: [&str; 4] =
    ["read:connections", "read:connections_options", "update:connections", "update:connections_options"];

/// `^[a-z]+:[a-z_]+$`
pub(super) fn is_scope(word: &str) -> bool {
    word.split_once(':').is_some_and(|(action, object)| {
        let lower = |text: &str, also: char| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == also);
        lower(action, 'a') && lower(object, '_')
    })
}
