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

            /// The remedy, where there is anything to do.
            pub fn to_do(self) -> Option<&'static str> {
                Some(self.remedy()).filter(|remedy| !remedy.starts_with("Nothing"))
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
        Ready: "Everything is as declared: all of the other conditions together.", "When not True, its reason and message are those of the first condition that is not True. See there.";
        Accepted: "The spec is valid and permitted.", "When False, change the object, or ask for what its message names.";
        ResolvedRefs: "Everything that the object refers to exists.", "When False, create what its message names, or correct the reference.";
        Synced: "The connection has the parameters as declared.", "When not True, see its message. If that is about the tenant, see the conditions of the tenant object.";
        Reconciling: "The operator is working on the object, or waits to try again.", "Wait, or see why Ready is not True.";
        Stalled: "The operator cannot go on until somebody changes something, or the object made no progress for ten minutes.", "Do what its message says.";
        Authenticated: "Auth0 accepted the operator's credentials, with the scopes it needs.", "When False, correct the credentials, or grant the scopes that its message names.";
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
        Accepted: "The spec is valid and permitted.", "Nothing.";
        AcceptedWithWarnings: "The spec is valid and permitted, but something about it is unusual. Examples: a type of connection that this version does not know, a scope that replaces the connection's own, a value that looks like a placeholder that nobody filled in.", "Read the warning in the message. If you want it so, do nothing.";
        InvalidSpec: "The spec breaks a rule. The object is older than the rule, or the type of the connection has a limit of its own (10 parameters on a facebook connection).", "Change the spec as the message says.";
        UnsupportedStrategy: "The connection is of a type where upstream parameters do nothing: SAML, WS-Federation, LDAP, database, passwordless.", "Delete the object, or use a connection with OAuth 2 or OpenID Connect.";
        ReservedParam: "The object names a parameter that the login itself sets (`state`, `nonce`, `redirect_uri`, PKCE, client credentials, tokens). A fixed value breaks or weakens the login.", "Remove the parameter. If you need it, ask the platform team to add it to `allowedReservedParams` of the `ClusterAuth0Tenant`.";
        NotPermitted: "`access` of the tenant object does not permit this namespace to use this connection.", "Name a connection that the message lists, or ask the platform team for an access entry in the `ClusterAuth0Tenant`. Check the labels of the namespace.";
        Conflicted: "Another object owns some of the parameters on the same connection. The operator leaves those to it, and writes the others.", "Remove the parameters from one of the two objects.";
        Pending: "The operator has no result yet for this version of the object.", "Wait. If it stays, see the conditions of the tenant object and the operator's log.";
        ResolvedRefs: "Everything that the object refers to exists.", "Nothing.";
        TenantNotFound: "There is no tenant object of that name.", "Create the `ClusterAuth0Tenant`. A wrong `tenantRef` cannot be changed: delete the object and create it again.";
        ConnectionNotFound: "The tenant has no connection of that name. For an id: the tenant has none, or `access` does not permit the namespace to use it. The operator does not say which.", "Create the connection, correct `spec.connection`, or ask the platform team for an access entry.";
        InSync: "The connection has the parameters as declared.", "Nothing.";
        Applied: "The operator wrote the parameters, and Auth0's answer showed them. The next check confirms it.", "Nothing.";
        ExistingValue: "Somebody else set another value for some of the parameters, and this object does not own them. The operator leaves those alone, and writes the others.", "Declare the value that is there, remove it at Auth0, or set `adoptionPolicy: Overwrite`.";
        Contended: "Somebody else set another value for the third time within an hour. The operator leaves it there, for 15 minutes at first and for up to an hour later. A parameter that somebody *removed* is always set again.", "Find the other tool: the tenant's log names its client. Then remove the parameter there or here.";
        DriftDetected: "The object only observes, and the connection differs from it.", "Set `managementPolicy: Enforce` to have it corrected. The states of the parameters show what would change.";
        OptionsHidden: "Auth0 does not show the options of the connection. The operator does not write, because a write would lose them.", "Do what the message says: grant the scope, or save the connection once in the Auth0 Dashboard.";
        Rejected: "Auth0 refused these parameters (400). The operator does not send them again until the object or the connection changes.", "Change the parameters as the message says.";
        ApplyFailed: "The operator could not read or write the connection for another reason. It tries again.", "See the message. It has the HTTP status, and what Auth0 says.";
        TenantNotReady: "The operator cannot use the tenant now, so it does not know the state of the connection.", "See the conditions of the `ClusterAuth0Tenant`.";
        RateLimited: "The rate limit of the tenant is reached. The operator goes on when Auth0 allows it.", "Wait. If it lasts, see who else uses the tenant's limit, or lower `rateLimit`.";
        RemoteUnavailable: "Auth0 does not answer, answers too slowly, or answers with a server error. The operator tries again.", "Wait. If it lasts, check the network to the tenant, and Auth0's status page.";
        Ready: "Everything is as declared.", "Nothing.";
        Observing: "The object only observes. The operator checks the connection, and writes nothing.", "Nothing. `Synced` and the states of the parameters show what `Enforce` would do.";
        Deleting: "The object is being deleted. The operator first removes the parameters that it owns.", "Wait. To delete the object and leave the parameters, set `deletionPolicy: Retain`.";
        StaleObservation: "The last successful check of the connection is too long ago to say how it is now.", "See `Synced`, and the conditions of the tenant object.";
        Progressing: "The operator is working on this version of the object.", "Wait.";
        ProgressingWithRetry: "The operator cannot finish this version of the object yet. It tries again.", "See the reason and message of Ready. What is missing may be another object, or time.";
        ProgressDeadlineExceeded: "This version of the object made no progress for ten minutes. The operator still tries.", "See the reason and message of Ready.";
        InvalidDomain: "The domain or audience of the tenant object breaks a rule. The object is older than the rule.", "Create another `ClusterAuth0Tenant` with a host name as domain. It cannot be changed.";
        DomainNotAllowed: "The domain is not in the operator's `--allowed-domains`.", "Add it there (`config.allowedDomains` of the chart), or create a `ClusterAuth0Tenant` with another domain.";
        DuplicateTenant: "Two tenant objects are for the same Auth0 tenant. The operator uses the older one. This is the other one.", "Delete one of the two.";
        SecretNotFound: "There is no Secret of that name in the operator's namespace. If a Secret disappears, the operator waits 15 seconds before it says so.", "Create it there, with the keys `clientId` and `clientSecret`.";
        SecretKeyMissing: "The Secret lacks a key, or the operator cannot use the text under a key.", "Correct what the message names.";
        Authenticated: "Auth0 accepted the operator's credentials.", "Nothing.";
        AuthenticationFailed: "Auth0 refused the operator's credentials.", "Do what the message says. The operator notices a change of the Secret at once.";
        MissingScope: "The operator's application lacks scopes of the Management API. The operator writes nothing to the tenant until it has them.", "Grant the application the scopes that the message names.";
    }
}

documented_names! {
    /// The reasons of events that are no condition's reason. A transition of a condition emits its [`Reason`].
    pub enum EventReason {
        Adopted: "Auth0 already had the parameter with the declared value. This object owns it now.", "Nothing.";
        Overwritten: "Somebody else had set another value, and the operator replaced it, because of `adoptionPolicy: Overwrite`.", "Nothing, if you want it so. The operator does not keep the old value.";
        DriftCorrected: "Somebody else changed a parameter of this object, and the operator set it back.", "If it happens again, find who changes it: the tenant's log names the client.";
        ParametersRemoved: "The operator removed parameters of this object from the connection.", "Nothing.";
        ParametersLeft: "The operator left parameters of this object at Auth0. Possible causes: `deletionPolicy` is `Retain`, the object only observes, access was withdrawn, somebody else changed the value, the tenant object is gone, or it is for another Auth0 tenant now. On a `ClusterAuth0Tenant`: the object that left them is gone, or its namespace takes no more events.", "Remove them at Auth0 if nobody needs them.";
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
