//! What the tools that wait for an object make of its status, ported for tests: kstatus (Helm 4, Flux) and `kubectl wait`.

use crate::api::reason::ConditionType;
use crate::core::world::Declared;

/// What kstatus says of an object (kubernetes-sigs/cli-utils, `pkg/kstatus/status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Is as declared.
    Current,
    /// Is worked on: wait.
    InProgress,
    /// Stop waiting.
    Failed,
    /// Is being deleted.
    Terminating,
}

/// The verdict of kstatus. The order of the questions matters.
pub(crate) fn kstatus(object: &Declared) -> Verdict {
    let status = &object.status;
    if object.deleting {
        return Verdict::Terminating;
    }
    if status.observed_generation.is_some_and(|observed| observed != object.generation) {
        return Verdict::InProgress;
    }
    for condition in status.conditions.iter().filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "Reconciling" => return Verdict::InProgress,
            "Stalled" => return Verdict::Failed,
            _ => {}
        }
    }
    match status.conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => Verdict::Current,
        Some(_) => Verdict::InProgress,
        None => Verdict::Current,
    }
}

/// Whether `kubectl wait --for=condition=...` returns (kubernetes/kubectl, `pkg/cmd/wait/condition.go`).
pub(crate) fn kubectl_wait(object: &Declared, kind: ConditionType) -> bool {
    let found = object.status.conditions.iter().find(|condition| condition.type_.eq_ignore_ascii_case(kind.as_str()));
    found.is_some_and(|condition| {
        let observed = condition.observed_generation.or(object.status.observed_generation);
        observed.is_none_or(|observed| observed >= object.generation) && condition.status.eq_ignore_ascii_case("True")
    })
}

/// Checks what holds of every status that was concluded: the four conditions with their generation; one of `Reconciling`
/// and `Stalled` at most, only while true; `Ready` copies what fails; lists sorted; records small.
pub(crate) fn assert_sound(object: &Declared) {
    let status = &object.status;
    assert_eq!(status.observed_generation, Some(object.generation));
    let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    let (four, extra) = kinds.split_at(4);
    assert_eq!(four, ["Ready", "Accepted", "ResolvedRefs", "Synced"]);
    assert!(matches!(extra, [] | ["Reconciling" | "Stalled"]), "{extra:?}");
    for condition in &status.conditions {
        assert_eq!(condition.observed_generation, Some(object.generation), "{}", condition.type_);
        assert!(!condition.message.is_empty(), "{}", condition.type_);
        assert!(condition.reason.parse::<crate::api::reason::Reason>().is_ok(), "{}", condition.reason);
    }
    let ready = &status.conditions[0];
    assert_eq!(extra.is_empty(), ready.status == "True", "something is going on exactly while the object is not ready");
    assert!(status.conditions[4..].iter().all(|condition| condition.status == "True"));
    assert!(status.connections.windows(2).all(|pair| pair[0].id < pair[1].id));
    for entry in &status.connections {
        assert!(entry.params.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(entry.params.iter().all(|param| param.owned.len() <= crate::core::pass::claims::MAX_OWNED));
    }
}
