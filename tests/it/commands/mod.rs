//! The commands for people, as who runs them sees them: what they print, how they end, and what they ask of whom.

mod connections;
mod export;
mod lint;
mod plan;
mod secrets;
mod shell;
mod status;
mod verify;

use std::process::{Command, Output};

use serde_json::Value;
use test_support::{Scope, operator_binary};

/// A command of the operator's binary, in an environment of its own.
pub(crate) struct Run(Command);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) out: String,
    /// What it said on standard error.
    pub(crate) err: String,
}

impl Run {
    /// With these words, and nothing of the environment of this process.
    pub(crate) fn new(words: &[&str]) -> Self {
        let mut command = Command::new(operator_binary());
        command.args(words).env_clear();
        Self(command)
    }

    /// Against the cluster and the emulated tenants of a scope's world. What that replaces is not said.
    pub(crate) fn of(scope: &Scope<'_>, words: &[&str]) -> Self {
        let world = scope.world;
        Self::new(words)
            .with("KUBECONFIG", world.control_plane.kubeconfig().to_str().unwrap())
            .with("UPO_INSECURE_TENANT_ENDPOINT", &world.emulator.url())
            .with("UPO_LOG", "error")
    }

    /// With a variable.
    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.0.env(variable, value);
        self
    }

    /// With credentials of the scope's tenant in the environment.
    pub(crate) fn by_application(self, scope: &Scope<'_>, client_id: &str, secret: &str) -> Self {
        self.with("AUTH0_DOMAIN", &scope.domain).with("AUTH0_CLIENT_ID", client_id).with("AUTH0_CLIENT_SECRET", secret)
    }

    /// Runs it to its end.
    pub(crate) async fn end(mut self) -> Ended {
        let output: Output = tokio::task::spawn_blocking(move || self.0.output()).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// What it printed, if it ended well.
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// The JSON that it printed, if it ended well.
    pub(crate) fn json(self) -> Value {
        let text = self.well();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// What it said, if it ended with this code and printed nothing.
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        self.err
    }
}
