//! Whether Auth0 accepts the tenant's credentials, and what the calls about connections show of that.
//!
//! Guarantees: what is the trouble of one connection is not held against the tenant; whenever the tenant can be used
//! again, or not any more, every object is reconciled.

use std::time::Instant;

use super::Tenant;
use crate::auth0::{Client, Failure, Granted, NEEDED_SCOPES, Route, Silence};
use crate::clock;
use crate::core::obstacle::Obstacle;
use crate::core::schedule::ConnectionKey;
use crate::core::tenant::authentication::{Authentication, MissingScopes, News};
use crate::core::tenant::evidence::READ_OPTIONS;
use crate::core::tenant::evidence::Token;
use crate::core::tenant::triage::Admission;
use crate::core::world::World;
use crate::model::document::DocumentError;
use crate::reconcile::failure::{Phase, obstacle_of};

impl Tenant {
    /// What is known of the credentials, while the tenant serves.
    fn authentication(&self) -> Option<&Authentication> {
        self.state.serving().map(|serving| &serving.authentication)
    }

    fn authentication_mut(&mut self) -> Option<&mut Authentication> {
        self.state.serving_mut().map(|serving| &mut serving.authentication)
    }

    /// Whether passes may run.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authentication().is_some_and(Authentication::is_accepted)
    }

    /// Scopes that keep writes from being made.
    pub(crate) fn missing_scopes(&self) -> Option<&MissingScopes> {
        self.authentication().and_then(Authentication::missing)
    }

    /// When the credentials are tried again.
    pub(super) fn authentication_due(&self) -> Option<Instant> {
        self.authentication().and_then(Authentication::due)
    }

    /// Tries the credentials. Yields the connection to look at for it where only a call of the API can tell.
    pub(crate) async fn authenticate(&mut self) -> Option<ConnectionKey> {
        let client = self.client()?;
        if self.authentication().is_some_and(Authentication::needs_new_token) {
            client.renew().await;
        }
        let before = self.authentication().map(|known| (known.answer().clone(), known.missing().cloned()));
        match client.authenticate().await {
            Ok(_) if self.authentication().is_some_and(Authentication::is_refused_by_api) => {
                if let Some(connection) = self.any_connection() {
                    return Some(connection);
                }
                self.authentication_mut()?.nothing_to_ask_about(by_chance());
            }
            Ok(granted) => {
                let known = self.connections_known();
                self.authentication_mut()?.token_granted(granted.scopes.as_deref(), known, by_chance());
            }
            Err(failure) => {
                tracing::warn!(tenant = %self.name, error = %failure, "Auth0 issued no token");
                self.remember_no_token(&client, &failure).await;
            }
        }
        self.report_tenant().await;
        if before != self.authentication().map(|known| (known.answer().clone(), known.missing().cloned())) {
            self.reconcile_all().await;
        }
        None
    }

    /// Plans another try after a call that should show whether the API still refuses the credentials, if it didn't.
    pub(crate) fn plan_after_trial(&mut self) {
        if let Some(known) = self.authentication_mut() {
            known.call_was_tried(by_chance());
        }
    }

    /// Some connection that one of the tenant's objects has to be looked at: not always the same one, which may have a trouble
    /// of its own.
    fn any_connection(&self) -> Option<ConnectionKey> {
        let objects = self.objects();
        let admitted = objects.iter().filter(|object| self.admission_of(object) == Admission::Open);
        let mut connections: Vec<ConnectionKey> = admitted.flat_map(|object| self.connections_of(object)).collect();
        (!connections.is_empty()).then(|| connections.swap_remove(fastrand::usize(..connections.len())))
    }

    async fn remember_no_token(&mut self, client: &Client, failure: &Failure) {
        let until = client.token_trouble().await.map(|trouble| trouble.until);
        let why = if refuses_credentials(failure) {
            Err(self.message_of(failure))
        } else {
            Ok(Obstacle { tenant_wide: true, ..obstacle_of(failure) })
        };
        if let Some(known) = self.authentication_mut() {
            known.token_denied(why, until, by_chance());
        }
    }

    /// Learns that Auth0 answered a read of a connection: whatever was held against the tenant as a whole is over.
    pub(crate) async fn answered(&mut self, connection: &ConnectionKey, client: &Client) {
        let renewal = client.token_trouble().await.map(|trouble| self.message_of(&trouble.failure));
        match self.authentication_mut().map_or(News::None, |known| known.answered(connection, renewal)) {
            News::None => {}
            News::OfTheTenant => self.report_tenant().await,
            News::AcceptedAgain => {
                self.report_tenant().await;
                self.reconcile_all().await;
            }
        }
    }

    /// Learns that a connection showed its options, or that a write went through: the token has the scope for it.
    pub(crate) async fn proved(&mut self, connection: &ConnectionKey, client: &Client, route: Route) {
        let Ok(granted) = client.authenticate().await else { return };
        let Some(known) = self.authentication_mut() else { return };
        if route.is_write() {
            known.wrote(connection, token(&granted));
        } else if known.showed_options(token(&granted)) {
            self.report_tenant().await;
            self.reconcile_all().await;
        }
    }

    /// Learns from a failed call what it says about the tenant as a whole. Yields the failure as it is to be told: what is the
    /// trouble of one connection is not held against the tenant.
    pub(crate) async fn learn_from_failure(&mut self, connection: &ConnectionKey, phase: Phase, failure: Failure) -> Failure {
        let Some(client) = self.client() else { return failure };
        if client.token_trouble().await.is_some_and(|trouble| !trouble.held && trouble.failure == failure) {
            self.remember_no_token(&client, &failure).await;
            self.report_tenant().await;
            return failure;
        }
        let asks_for_scopes =
            matches!(failure, Failure::MissingScope { .. } | Failure::BadDocument { error: DocumentError::OptionsHidden, .. });
        if let Failure::Unauthorized { message: said } = &failure {
            let (message, doing) = (self.message_of(&failure), (connection.clone(), phase == Phase::Write));
            if self.authentication_mut().is_some_and(|known| !known.refused_by_api(doing, message, by_chance())) {
                let route = if phase == Phase::Write { Route::WriteConnection } else { Route::ReadConnection };
                let message = format!("{said}; the token is refused here, and taken elsewhere");
                return Failure::ClientError { route, status: 401, message };
            }
        } else if asks_for_scopes && let Ok(granted) = client.authenticate().await {
            match self.missing_for(connection, &failure, &granted) {
                Err(own) => return own,
                Ok(missing) => {
                    if let Some(known) = self.authentication_mut() {
                        known.scopes_are_missing(missing, by_chance());
                    }
                }
            }
        } else {
            self.remember_silence(connection, &failure);
            return failure;
        }
        self.report_tenant().await;
        failure
    }

    /// The scopes that the tenant as a whole lacks, where a connection lets something be done only with a scope. Fails with the
    /// failure as it is to be told where the token has that scope, so that it is the connection's own trouble.
    fn missing_for(&mut self, connection: &ConnectionKey, failure: &Failure, granted: &Granted) -> Result<MissingScopes, Failure> {
        let unusable = || Failure::BadDocument { route: Route::ReadConnection, error: DocumentError::OptionsUnusable };
        let (count, token) = (self.connections_known(), token(granted));
        let Some(known) = self.authentication_mut() else { return Err(failure.clone()) };
        let Failure::MissingScope { scopes: named } = failure else {
            let hidden = known.hid_options(connection, token, count, by_chance());
            return if hidden {
                Ok(MissingScopes { scopes: vec![READ_OPTIONS.to_owned()], message: failure.message() })
            } else {
                Err(unusable())
            };
        };
        let asked = if named.is_empty() { NEEDED_SCOPES.map(str::to_owned).to_vec() } else { named.clone() };
        let Some(scopes) = known.lacks(connection, &asked, token, count) else {
            let message = format!("it asks for {}, which the application has", asked.join(", "));
            return Err(Failure::Forbidden { message });
        };
        Ok(MissingScopes { message: Failure::MissingScope { scopes: scopes.clone() }.message(), scopes })
    }

    fn remember_silence(&mut self, connection: &ConnectionKey, failure: &Failure) {
        let of_the_host = match failure.silence() {
            Silence::None => return,
            Silence::Here => false,
            Silence::OfTheHost => true,
        };
        let count = self.connections_known();
        if let Some(known) = self.authentication_mut() {
            known.unanswered(connection, &failure.message(), of_the_host, count, clock::now());
        }
    }

    /// How many connections the tenant's objects name: none, one, or two where there are more, as nothing depends on how many.
    fn connections_known(&self) -> usize {
        let two = |world: &World| {
            let mut connections = world.objects_of(&self.name).flat_map(|object| self.connections_of(object));
            let Some(first) = connections.next() else { return 0 };
            if connections.any(|other| other != first) { 2 } else { 1 }
        };
        self.shared.hub.read(two)
    }

    /// What is said of a failure, with what looks wrong about the credentials where it is about them.
    fn message_of(&self, failure: &Failure) -> String {
        let oddity = self.serving().and_then(|settings| settings.oddity.as_deref());
        match oddity.filter(|_| matches!(failure, Failure::CredentialsRejected { .. })) {
            Some(oddity) => format!("{}; {oddity}", failure.message()),
            None => failure.message(),
        }
    }
}

fn token(granted: &Granted) -> Token<'_> {
    Token { scopes: granted.scopes.as_deref(), serial: granted.token }
}

/// The time, and the chance that a pause is drawn from.
fn by_chance() -> (Instant, f64) {
    (clock::now(), fastrand::f64())
}

fn refuses_credentials(failure: &Failure) -> bool {
    matches!(failure, Failure::CredentialsRejected { .. } | Failure::Unauthorized { .. })
}
