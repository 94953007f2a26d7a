//! The tools that judge an object by its status, ported or run: kstatus (Flux, Helm 4), `kubectl wait`, Argo CD.

use mlua::{Lua, LuaOptions, StdLib};
use serde_json::Value;
use test_support::repository::root;

/// A verdict of kstatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kstatus {
    Current,
    InProgress,
    Failed,
    Terminating,
}

/// kstatus, after `fluxcd/cli-utils:pkg/kstatus/status/{status,generic}.go`. The order of the questions matters.
pub(super) fn kstatus(object: &Value) -> Kstatus {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Kstatus::Terminating;
    }
    let (generation, observed) = (object["metadata"]["generation"].as_i64(), object["status"]["observedGeneration"].as_i64());
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        return Kstatus::InProgress;
    }
    let conditions = conditions(object);
    for condition in conditions.iter().filter(|condition| condition["status"] == "True") {
        if condition["type"] == "Reconciling" {
            return Kstatus::InProgress;
        }
        if condition["type"] == "Stalled" {
            return Kstatus::Failed;
        }
    }
    match conditions.iter().find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Kstatus::InProgress,
        Some(_) | None => Kstatus::Current,
    }
}

/// `kubectl wait --for=condition=Ready`, after `kubernetes/kubectl:pkg/cmd/wait/condition.go`: whether it ends.
pub(super) fn kubectl_wait(object: &Value, wanted: &str) -> bool {
    let named = |condition: &&Value| condition["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
    let Some(condition) = conditions(object).iter().find(named) else { return false };
    let observed = condition["observedGeneration"].as_i64().or_else(|| object["status"]["observedGeneration"].as_i64());
    if let (Some(generation), Some(observed)) = (object["metadata"]["generation"].as_i64(), observed)
        && observed < generation
    {
        return false;
    }
    condition["status"].as_str().is_some_and(|status| status.eq_ignore_ascii_case("true"))
}

fn conditions(object: &Value) -> &[Value] {
    object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Argo CD with the health script of the documentation, in the dialect and with the libraries that Argo CD gives it.
pub(super) struct ArgoCd {
    lua: Lua,
    script: String,
}

impl ArgoCd {
    pub(super) fn new() -> Self {
        let script = std::fs::read_to_string(root().join("docs/argocd/health.lua")).unwrap();
        Self::with(script)
    }

    pub(super) fn with(script: String) -> Self {
        Self { lua: Lua::new_with(StdLib::TABLE | StdLib::PACKAGE, LuaOptions::default()).unwrap(), script }
    }

    /// The health status and the message.
    pub(super) fn health(&self, object: &Value) -> (String, String) {
        // `gitops-engine/pkg/health/health.go` asks no script then.
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return ("Progressing".to_owned(), "Pending deletion".to_owned());
        }
        self.lua.globals().set("obj", self.value(object)).unwrap();
        let health: mlua::Table = self.lua.load(&self.script).eval().unwrap();
        (health.get("status").unwrap(), health.get("message").unwrap())
    }

    fn value(&self, value: &Value) -> mlua::Value {
        match value {
            Value::Null => mlua::Value::Nil,
            Value::Bool(yes) => mlua::Value::Boolean(*yes),
            Value::Number(number) => mlua::Value::Number(number.as_f64().unwrap()),
            Value::String(text) => mlua::Value::String(self.lua.create_string(text).unwrap()),
            Value::Array(items) => mlua::Value::Table(self.lua.create_sequence_from(items.iter().map(|item| self.value(item))).unwrap()),
            Value::Object(members) => {
                mlua::Value::Table(self.lua.create_table_from(members.iter().map(|(key, one)| (key.as_str(), self.value(one)))).unwrap())
            }
        }
    }
}
