//! Noise by kinds, for counting: what there is, so that what no history has can be listed.

use super::{Complaint, Misfortune, TenantAction};

/// Every kind there is.
pub const KINDS: [&str; 44] = [
    "an error",
    "a missing scope",
    "a missing scope for options",
    "a missing subscription",
    "a missing feature",
    "an invalid token",
    "refused parameters",
    "a refused parameter",
    "another refused option",
    "no such connection",
    "a conflict",
    "an OAuth error",
    "a client quota",
    "an empty error",
    "an HTML error",
    "half an error",
    "429",
    "200 without JSON",
    "200 with an error",
    "half an answer",
    "a lost answer",
    "no answer after it took effect",
    "a dropped request",
    "no answer",
    "a huge body",
    "a redirect",
    "a delay",
    "an edit between two calls",
    "revoked tokens",
    "expired tokens",
    "another lifetime of tokens",
    "tokens with or without their scopes",
    "a rotated secret",
    "a restored secret",
    "a removed grant",
    "a removed client",
    "other scopes",
    "a deleted connection",
    "a created connection",
    "a connection made anew",
    "an edit of options",
    "another display name",
    "other rate limits",
    "a skewed clock",
];

impl TenantAction {
    /// Which of [`KINDS`] it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trouble(trouble) => trouble.what.kind(),
            Self::TokensRevoked => "revoked tokens",
            Self::TokensExpired => "expired tokens",
            Self::TokenLifetime(_) => "another lifetime of tokens",
            Self::TokensNameScopes(_) => "tokens with or without their scopes",
            Self::SecretRotated(_) => "a rotated secret",
            Self::SecretRestored => "a restored secret",
            Self::GrantRemoved => "a removed grant",
            Self::ClientRemoved => "a removed client",
            Self::Scopes(_) => "other scopes",
            Self::WithTokensRevoked(action) => action.kind(),
            Self::Deleted(_) => "a deleted connection",
            Self::Created { .. } => "a created connection",
            Self::Remade { .. } => "a connection made anew",
            Self::Quoted { .. } => "another refused option",
            Self::Edited(..) => "an edit of options",
            Self::DisplayName(..) | Self::NoDisplayName(_) => "another display name",
            Self::Limits(_) => "other rate limits",
            Self::Skew(_) => "a skewed clock",
        }
    }
}

impl Misfortune {
    fn kind(&self) -> &'static str {
        match self {
            Self::Status(_, says) => says.kind(),
            Self::RateLimited { .. } => "429",
            Self::NotJson => "200 without JSON",
            Self::ErrorBodyWith200 => "200 with an error",
            Self::CutBody => "half an answer",
            Self::LoseAnswer => "a lost answer",
            Self::HangAfter => "no answer after it took effect",
            Self::Drop => "a dropped request",
            Self::Hang => "no answer",
            Self::HugeBody => "a huge body",
            Self::Redirect => "a redirect",
            Self::Delay(_) => "a delay",
            Self::EditBetween(_) => "an edit between two calls",
        }
    }
}

impl Complaint {
    fn kind(&self) -> &'static str {
        match self {
            Self::Plain => "an error",
            Self::MissingScope(_) => "a missing scope",
            Self::MissingOptionsScope => "a missing scope for options",
            Self::Subscription => "a missing subscription",
            Self::Feature => "a missing feature",
            Self::InvalidToken => "an invalid token",
            Self::Params => "refused parameters",
            Self::Entry(_) => "a refused parameter",
            Self::Quoting(_) => "another refused option",
            Self::NoConnection => "no such connection",
            Self::Conflict => "a conflict",
            Self::Denied => "an OAuth error",
            Self::Quota => "a client quota",
            Self::Empty => "an empty error",
            Self::Page => "an HTML error",
            Self::Torn => "half an error",
        }
    }
}
