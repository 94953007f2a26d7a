//! Every type and reason of a condition, and every reason of an event that is no condition's, with what it means and
//! what to do: as data (Markdown), so that the documentation is generated from it.

use super::UnknownName;

/// Declares a set of names of which each has a meaning and a remedy, which are its documentation at the same time.
macro_rules! documented_names {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($variant:ident: $meaning:literal, $remedy:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames)]
        #[strum(parse_err_ty = UnknownName, parse_err_fn = UnknownName::instead_of::<Self>)]
        $vis enum $name {
            $(#[doc = $meaning] #[doc = ""] #[doc = concat!("Remedy: ", $remedy)] $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

            /// The text that stands in objects.
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// What it says, in one or two sentences of Markdown.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// What to do about it, in one or two sentences of Markdown.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

documented_names! {
    /// The types of conditions.
    ///
    /// `Ready`, `Accepted` and `ResolvedRefs` belong to both kinds, `Synced` to `UpstreamParams`, `Authenticated` to
    /// `ClusterAuth0Tenant`. `Reconciling` and `Stalled` are there only while they are true, never both (kstatus).
    pub enum ConditionType {
        Ready: "Summary: everything is as declared.", "When not True, its reason and message are those of the first condition that is not True; see there.";
        Accepted: "The object's content can be carried out.", "When False, change the object, or ask for what its message names.";
        ResolvedRefs: "Everything that the object refers to exists.", "When False, create what its message names, or correct the reference.";
        Synced: "The connection has the parameters as declared.", "When not True, see its message; when that is about the tenant, see the tenant's conditions.";
        Reconciling: "The operator is working on the object, or waits to try again.", "None: wait, or look at why Ready is not True.";
        Stalled: "The operator cannot go on until somebody changes something, or this generation made no progress for ten minutes.", "Do what its message says.";
        Authenticated: "The tenant accepted the operator's credentials, with the scopes it needs.", "When False, correct the credentials or grant the scopes that its message names.";
    }
}

/// The values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::IntoStaticStr)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not.
    False,
    /// Nobody can say at present.
    Unknown,
}

impl ConditionStatus {
    /// The text that stands in objects.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

documented_names! {
    /// The reasons of conditions, and of the events that a change to them emits.
    pub enum Reason {
        Accepted: "The object's content can be carried out.", "None.";
        AcceptedWithWarnings: "The object is carried out, but something about it is unusual, for example a strategy this version does not know, a scope that replaces the connection's own, or a value that looks like a placeholder that nothing filled in.", "Read the warning in the message; nothing has to be done if it is meant so.";
        InvalidSpec: "The spec breaks a rule: the object is older than the rule, or the type of the connection has a limit of its own (10 parameters on a facebook connection).", "Change the spec as the message says.";
        UnsupportedStrategy: "Connections of this type have no authorization request that parameters could be added to (SAML, WS-Federation, LDAP, database, passwordless).", "Delete the object, or name a connection of an OAuth 2 or OpenID Connect type.";
        ReservedParam: "A parameter is named that Auth0 sets itself and that breaks or weakens the login when it is fixed (`state`, `nonce`, `redirect_uri`, PKCE, client credentials, tokens).", "Take the parameter out; if it is needed, ask the platform team for an entry in `allowedReservedParams` of the `ClusterAuth0Tenant`.";
        NotPermitted: "No access entry of the tenant admits this namespace to this connection.", "Ask the platform team for an access entry in the `ClusterAuth0Tenant`.";
        Conflicted: "Another object holds some of the parameters on the same connection; those are left to it, the others are carried out.", "Take the parameters out of one of the two objects.";
        Pending: "The operator has not come to a result for this generation yet.", "Wait; if it stays, look at the tenant's conditions and the operator's log.";
        ResolvedRefs: "Everything that the object refers to exists.", "None.";
        TenantNotFound: "There is no tenant object of that name.", "Create the `ClusterAuth0Tenant`. A wrong `tenantRef` cannot be changed: delete the object and create it anew.";
        ConnectionNotFound: "The tenant has no connection of that name. For an id: it has none, or it does not admit the namespace to that connection; which of the two is not told.", "Create the connection, correct `spec.connection`, or ask the platform team for an access entry.";
        InSync: "The connection was seen with the parameters as declared.", "None.";
        Applied: "The parameters were written and the tenant's answer showed them; the next look confirms it.", "None.";
        ExistingValue: "Some parameters are there with another value that this object does not own; they are left alone, the others are carried out.", "Declare the value that is there, remove it at Auth0, or set `adoptionPolicy: Overwrite`.";
        Contended: "Somebody else set some of the parameters to another value for the third time within an hour. It is left there, for 15 minutes at first and for up to an hour later. A parameter that was removed is not left out: it is set again.", "Find the other tool (the tenant's log names the client) and take the parameters out of it or out of this object.";
        DriftDetected: "Observe: the connection differs from what is declared.", "Set `managementPolicy: Enforce` to have it corrected; params in status show what would change.";
        OptionsHidden: "The tenant does not show the connection's options, so nothing can be written without losing them.", "Do what the message says: grant the operator's application the scope that it names, or have the one connection put right that shows none.";
        Rejected: "Auth0 refused these parameters (400); they are not sent again until the object or the connection changes.", "Change the parameters as the message says.";
        ApplyFailed: "The connection could not be read or written for another reason; it is tried again.", "See the message; it names the status and what Auth0 says of it.";
        TenantNotReady: "The tenant cannot be used at present, so the state of the connection is not known.", "See the conditions of the `ClusterAuth0Tenant`.";
        RateLimited: "The tenant's request limit is reached; the operator goes on when it allows.", "Wait; if it lasts, look who else uses up the tenant's limit, or lower `rateLimit`.";
        RemoteUnavailable: "Auth0 does not answer, or answers with a server error; it is tried again.", "Wait; if it lasts, check the network to the tenant and Auth0's status page.";
        Ready: "Everything is as declared.", "None.";
        Observing: "Observe: the connection was looked at, and nothing is written.", "None; Synced and params in status show what Enforce would do.";
        Deleting: "The object is being deleted; the parameters it owns are being removed first.", "Wait. To leave the parameters and let the object go, set `deletionPolicy: Retain`.";
        StaleObservation: "The last successful look at the connection is too long ago to say how it is.", "See Synced and the tenant's conditions.";
        Progressing: "The operator is working on this generation.", "Wait.";
        ProgressingWithRetry: "This generation cannot be carried out yet; it is tried again.", "See the reason and message of Ready: what is missing may be another object, or time.";
        ProgressDeadlineExceeded: "This generation made no progress for ten minutes; it is still tried again.", "See the reason and message of Ready.";
        InvalidDomain: "The tenant's domain or audience is not what it has to be; the object is older than the rule.", "Create another `ClusterAuth0Tenant` with a host name as domain: it cannot be changed.";
        DomainNotAllowed: "The operator may not talk to this host.", "Have the host added to the operator's `--allowed-domains` (`config.allowedDomains` of the chart), or create a `ClusterAuth0Tenant` with another domain.";
        DuplicateTenant: "An older `ClusterAuth0Tenant` is the same Auth0 tenant; that one serves.", "Delete one of the two.";
        SecretNotFound: "There is no Secret of that name in the operator's namespace. One that disappears is missed after 15 seconds.", "Create it there with `clientId` and `clientSecret`.";
        SecretKeyMissing: "The Secret lacks a key, or the text under a key cannot be used.", "Correct what the message names.";
        Authenticated: "The tenant accepted the operator's credentials.", "None.";
        AuthenticationFailed: "The tenant refused the operator's credentials.", "Do what the message says; a change of the Secret is noticed at once.";
        MissingScope: "The operator's application lacks scopes of the Management API; writes to the tenant pause.", "Grant the application the scopes that the message names.";
    }
}

documented_names! {
    /// The reasons of events that are no condition's reason. A transition of a condition emits its [`Reason`].
    pub enum EventReason {
        Adopted: "A parameter that was there already belongs to this object from now on.", "None.";
        Overwritten: "A parameter had a value that somebody else had set, and it was replaced, as `adoptionPolicy: Overwrite` says.", "None, if it is meant so; the value that was there is kept nowhere.";
        DriftCorrected: "Somebody else changed a parameter of this object, and it was set back.", "If it happens again, find who changes it (the tenant's log names the client).";
        ParametersRemoved: "Parameters of this object were removed from the connection.", "None.";
        ParametersLeft: "The object let go of parameters without removing them: its `deletionPolicy` is `Retain`, it only observes, access was withdrawn, somebody else changed the value, or the tenant object is gone or stands for another Auth0 tenant now. On a `ClusterAuth0Tenant`: an object left them that is gone, or whose namespace takes no events any more.", "Remove them at Auth0 if they are not wanted.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words that `kubectl wait`, alerts and dashboards are written against.
    const CAMEL_CASE: fn(&str) -> bool =
        |text| text.starts_with(|first: char| first.is_ascii_uppercase()) && text.chars().all(|c| c.is_ascii_alphanumeric());

    #[test]
    fn every_name_reads_back_and_is_documented() {
        fn check<T: Copy + PartialEq + std::fmt::Debug + std::str::FromStr>(
            all: &[T],
            text: fn(T) -> &'static str,
            documentation: [fn(T) -> &'static str; 2],
        ) {
            for name in all {
                assert!(CAMEL_CASE(text(*name)), "{name:?}");
                assert_eq!(text(*name).parse().ok(), Some(*name));
                for sentence in documentation.map(|of| of(*name)) {
                    assert!(sentence.ends_with('.'), "{name:?}: {sentence}");
                }
            }
        }
        check(ConditionType::ALL, ConditionType::as_str, [ConditionType::meaning, ConditionType::remedy]);
        check(Reason::ALL, Reason::as_str, [Reason::meaning, Reason::remedy]);
        check(EventReason::ALL, EventReason::as_str, [EventReason::meaning, EventReason::remedy]);
    }

    #[test]
    fn an_event_reason_is_never_also_a_conditions_reason() {
        let of_conditions: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert!(EventReason::ALL.iter().all(|reason| !of_conditions.contains(reason.as_str())));
    }

    #[test]
    fn an_unknown_reason_is_refused_with_the_known_ones() {
        let refusal = "Removed".parse::<EventReason>().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "unsupported value, use one of: Adopted, Overwritten, DriftCorrected, ParametersRemoved, ParametersLeft"
        );
    }
}
