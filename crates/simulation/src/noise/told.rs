//! Noise in words, for a story.

use std::fmt;

use super::{Complaint, Edit, Meets, Misfortune, Plan, TenantAction, Trouble};

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(name, entry) => write!(f, "sets the parameter {name} to {entry}"),
            Self::ParamRemoved(name) => write!(f, "removes the parameter {name}"),
            Self::Params(text) => write!(f, "sets upstream_params to {text}"),
            Self::ParamsRemoved => f.write_str("removes upstream_params"),
            Self::Option(key, value) => write!(f, "sets the option {key} to {value}"),
            Self::OptionRemoved(key) => write!(f, "removes the option {key}"),
            Self::Imported(number) => write!(f, "replaces all options by import {number}, which has no upstream_params"),
        }
    }
}

impl fmt::Display for Meets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("every call"),
            Self::Tokens => f.write_str("every request for a token"),
            Self::Reads => f.write_str("every read"),
            Self::Lists => f.write_str("every list of connections"),
            Self::Writes => f.write_str("every write"),
            Self::Connection(name) => write!(f, "every call about {name}"),
            Self::WritesTo(name) => write!(f, "every write to {name}"),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("the API's own body"),
            Self::MissingScope(scope) => write!(f, "a body that says that the scope {scope} is missing"),
            Self::MissingOptionsScope => f.write_str("a body that says that options take update:connections_options"),
            Self::Subscription => f.write_str("a body that asks for a better subscription"),
            Self::Feature => f.write_str("a body that says that a feature is not enabled"),
            Self::InvalidToken => f.write_str("a body that says that the token is invalid"),
            Self::Params => f.write_str("a body that refuses the upstream parameters"),
            Self::Entry(path) => write!(f, "a body that refuses upstream_params.{path}"),
            Self::Quoting(value) => write!(f, "a body that quotes {value}"),
            Self::NoConnection => f.write_str("a body that says that there is no such connection"),
            Self::Conflict => f.write_str("a body that says that another change is under way"),
            Self::Denied => f.write_str("the OAuth error access_denied"),
            Self::Quota => f.write_str("the OAuth error too_many_requests"),
            Self::Empty => f.write_str("an empty body"),
            Self::Page => f.write_str("a page of HTML"),
            Self::Torn => f.write_str("half of a JSON body"),
        }
    }
}

impl fmt::Display for Misfortune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, complaint) => write!(f, "is answered {status} with {complaint}"),
            Self::RateLimited { global, reset, retry_after } => {
                write!(f, "is answered 429 by the {} limit", if *global { "global" } else { "endpoint's" })?;
                match (reset, retry_after) {
                    (None, None) => f.write_str(", without saying until when"),
                    (Some(reset), None) => write!(f, ", which lets one pass in {reset} s"),
                    (None, Some(after)) => write!(f, ", with a Retry-After of {after} s"),
                    (Some(reset), Some(after)) => write!(f, ", which lets one pass in {reset} s, with a Retry-After of {after} s"),
                }
            }
            Self::NotJson => f.write_str("is answered 200 with a page of HTML"),
            Self::ErrorBodyWith200 => f.write_str("is answered 200 with the body of an error"),
            Self::CutBody => f.write_str("takes effect and loses half of its answer"),
            Self::LoseAnswer => f.write_str("takes effect and loses its answer"),
            Self::HangAfter => f.write_str("takes effect and is never answered"),
            Self::Drop => f.write_str("is cut off without effect"),
            Self::Hang => f.write_str("hangs without effect"),
            Self::HugeBody => f.write_str("is answered with a huge body"),
            Self::Redirect => f.write_str("is answered with a redirect"),
            Self::Delay(millis) => write!(f, "waits for {millis} ms before it takes effect"),
            Self::EditBetween(edit) => write!(f, "is answered, and right after it somebody {edit}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { meets, after, times, what } = self;
        write!(f, "{meets} {what}")?;
        match times {
            Some(1) => f.write_str(", once")?,
            Some(times) => write!(f, ", {times} times")?,
            None => f.write_str(", until it is calm again")?,
        }
        if *after > 0 { write!(f, ", after {after} that pass") } else { Ok(()) }
    }
}

impl fmt::Display for TenantAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => write!(f, "From now on {trouble}."),
            Self::TokensRevoked => f.write_str("All tokens are revoked."),
            Self::TokensExpired => f.write_str("All tokens expire."),
            Self::TokenLifetime(seconds) => write!(f, "New tokens live for {seconds} s from now on."),
            Self::TokensNameScopes(true) => f.write_str("New tokens come with the names of their scopes from now on."),
            Self::TokensNameScopes(false) => f.write_str("New tokens come without the names of their scopes from now on."),
            Self::SecretRotated(number) => write!(f, "Somebody rotates the client's secret to number {number}."),
            Self::SecretRestored => f.write_str("Somebody gives the client its first secret back."),
            Self::GrantRemoved => f.write_str("Somebody takes the client's grant away."),
            Self::ClientRemoved => f.write_str("Somebody deletes the client."),
            Self::Scopes(scopes) if scopes.is_empty() => f.write_str("Somebody takes all scopes from the client."),
            Self::Scopes(scopes) => write!(f, "Somebody sets the client's scopes to {}.", scopes.join(", ")),
            Self::WithTokensRevoked(action) => write!(f, "All tokens are revoked, and at the same time: {action}"),
            Self::Deleted(name) => write!(f, "Somebody deletes the connection {name}."),
            Self::Created { name, strategy, number } => {
                write!(f, "Somebody creates the connection {name} of type {strategy} (number {number}), unless there is one.")
            }
            Self::Remade { name, strategy, number } => {
                write!(f, "Somebody deletes the connection {name} and makes another one of type {strategy} (number {number}).")
            }
            Self::Quoted { connection, value, times } => {
                write!(f, "Somebody sets the icon of {connection} to {value}, and Auth0 refuses it by quoting it, {times} times.")
            }
            Self::Edited(name, edit) => write!(f, "On the connection {name} somebody {edit}."),
            Self::DisplayName(name, number) => write!(f, "Somebody changes the display name of {name} (number {number})."),
            Self::NoDisplayName(name) => write!(f, "Somebody removes the display name of {name}."),
            Self::Limits(Plan::Unlimited) => f.write_str("The tenant has no limits from now on."),
            Self::Limits(Plan::Free) => f.write_str("The tenant has the limits of a free one from now on."),
            Self::Limits(Plan::Essentials) => f.write_str("The tenant has the limits of an Essentials one from now on."),
            Self::Limits(Plan::Scarce) => f.write_str("Others leave us one request every three seconds from now on."),
            Self::Skew(seconds) if *seconds < 0 => write!(f, "The tenant's clock is {} s behind from now on.", seconds.unsigned_abs()),
            Self::Skew(seconds) => write!(f, "The tenant's clock is {seconds} s ahead from now on."),
        }
    }
}
