//! What a plan that nothing stood in the way of says as `Synced`: the first of these findings that applies.

use super::conditions::Finding;
use super::outcome::Planned;
use crate::api::reason::Reason;
use crate::api::upstream_params::{ConnectionStatus, ParamState, ParamStatus};
use crate::core::pass::plan::{Dispute, Verdict};

/// After so many corrections within an hour it is said that another tool keeps changing a parameter.
const DISPUTED: usize = 3;

/// What came of a plan, and after the third correction of a parameter that another tool keeps changing it.
pub(super) fn of_plan(planned: &Planned, observing: bool, connections: &[ConnectionStatus]) -> Finding {
    let findings = Findings { planned, observing, connections };
    let finding = findings.finding();
    let disputed: Vec<String> = findings.disputes().filter(|(_, dispute)| dispute.times >= DISPUTED).map(set_back).collect();
    if !finding.is_true() || disputed.is_empty() {
        return finding;
    }
    let message = format!("{}; but somebody else keeps changing {}", finding.message, disputed.join(", "));
    Finding { message, ..finding }
}

/// What a pass found and did.
struct Findings<'a> {
    planned: &'a Planned,
    observing: bool,
    /// What the status is about to say of the connections.
    connections: &'a [ConnectionStatus],
}

impl<'a> Findings<'a> {
    fn finding(&self) -> Finding {
        self.would_change()
            .or_else(|| self.has_another_value())
            .or_else(|| self.contended())
            .or_else(|| self.paced())
            .or_else(|| self.waiting())
            .or_else(|| self.remains_elsewhere())
            .or_else(|| self.wrote())
            .unwrap_or_else(|| self.in_sync())
    }

    /// What is said of the parameters on the connection of this pass.
    fn here(&self) -> impl Iterator<Item = &'a ParamStatus> {
        let (connections, id) = (self.connections, &self.planned.connection.id);
        connections.iter().filter(move |entry| entry.id == *id).flat_map(|entry| &entry.params)
    }

    fn in_states(&self, states: &[ParamState]) -> Vec<&'a str> {
        self.here().filter(|param| states.contains(&param.state)).map(|param| param.name.as_str()).collect()
    }

    fn would_change(&self) -> Option<Finding> {
        let names = self.in_states(&[ParamState::WouldAdd, ParamState::WouldChange, ParamState::WouldRemove]);
        let (names, connection) = (names.join(", "), self.planned.label());
        let said = || format!("the connection {connection} differs in {names}; managementPolicy: Enforce would correct it");
        (!names.is_empty()).then(|| Finding::fails(Reason::DriftDetected, said()))
    }

    fn has_another_value(&self) -> Option<Finding> {
        let names = self.in_states(&[ParamState::ExistingValue]).join(", ");
        let remedy = "declare that value, remove it at Auth0, or set adoptionPolicy: Overwrite";
        let said = || format!("somebody else set another value for {names}; {remedy}");
        (!names.is_empty()).then(|| Finding::fails(Reason::ExistingValue, said()))
    }

    /// What is said of parameters that wait because somebody sets another value again and again.
    fn contended(&self) -> Option<Finding> {
        let waits = self.planned.params.iter().filter(|(_, param)| param.verdict == Verdict::Contended);
        let names: Vec<String> = waits.map(|(name, param)| fought_over(name, param.dispute.as_ref())).collect();
        let remedy = "find the other tool in the tenant's log, and remove the parameter there or here";
        let said = || format!("somebody else keeps changing {}; {remedy}", names.join(", "));
        (!names.is_empty()).then(|| Finding::fails(Reason::Contended, said()))
    }

    fn paced(&self) -> Option<Finding> {
        let waits = self.planned.params.iter().filter(|(_, param)| matches!(param.verdict, Verdict::Paced { .. }));
        let names: Vec<&str> = waits.map(|(name, _)| name.as_str()).collect();
        let said = || format!("somebody else changed {} again; the operator corrects a parameter at most once a minute", names.join(", "));
        (!names.is_empty()).then(|| Finding::pending(said()))
    }

    fn waiting(&self) -> Option<Finding> {
        let kinds = [(ParamState::Pending, "write"), (ParamState::Removing, "remove")];
        let named = kinds.map(|(state, how)| (self.in_states(&[state]), how));
        let said: Vec<String> = named
            .into_iter()
            .filter(|(names, _)| !names.is_empty())
            .map(|(names, how)| format!("still to {how}: {}", names.join(", ")))
            .collect();
        (!said.is_empty()).then(|| Finding::pending(said.join("; ")))
    }

    fn remains_elsewhere(&self) -> Option<Finding> {
        let old = self.connections.iter().find(|entry| entry.id != self.planned.connection.id)?;
        let old = old.name.as_deref().unwrap_or(&old.id);
        Some(if self.observing {
            Finding::fails(
                Reason::DriftDetected,
                format!("the connection {old} still has parameters of this object; managementPolicy: Enforce would remove them"),
            )
        } else {
            Finding::pending(format!("the connection {old} still has parameters of this object; the operator removes them next"))
        })
    }

    fn wrote(&self) -> Option<Finding> {
        let (names, connection) = (self.in_states(&[ParamState::Applied]), self.planned.label());
        if !names.is_empty() {
            return Some(Finding::holds(Reason::Applied, format!("wrote {} to the connection {connection}", names.join(", "))));
        }
        let removed = || format!("removed parameters that are no longer declared from the connection {connection}");
        self.planned.wrote().then(|| Finding::holds(Reason::Applied, removed()))
    }

    fn in_sync(&self) -> Finding {
        match self.in_states(&[ParamState::InSync]).join(", ") {
            none if none.is_empty() => Finding::pending("other objects own all of these parameters"),
            all => Finding::holds(Reason::InSync, format!("the connection {} has {all} as declared", self.planned.label())),
        }
    }

    fn disputes(&self) -> impl Iterator<Item = (&'a str, &'a Dispute)> {
        self.planned.params.iter().filter_map(|(name, param)| Some((name.as_str(), param.dispute.as_ref()?)))
    }
}

fn set_back((name, dispute): (&str, &Dispute)) -> String {
    format!("{name} (set back {} times{})", dispute.times, since(Some(dispute)))
}

fn fought_over(name: &str, dispute: Option<&Dispute>) -> String {
    let times = dispute.map_or(0, |dispute| dispute.times) + 1;
    let until = dispute.and_then(|dispute| dispute.until).map(|until| format!(", left alone until {until}")).unwrap_or_default();
    format!("{name} ({times} times{}{until})", since(dispute))
}

fn since(dispute: Option<&Dispute>) -> String {
    dispute.and_then(|dispute| dispute.since).map(|since| format!(" since {since}")).unwrap_or_default()
}
