//! What a shell wants of the binary: its version, completions, manual pages, and its name as a plugin of kubectl.

use std::process::Command;

use serde_json::Value;
use test_support::{World, operator_binary};

use super::Run;

#[tokio::test]
async fn kubectl_runs_it_as_a_plugin_under_a_name_of_its_own() {
    let control_plane = &World::shared().control_plane;
    let folder = control_plane.folder().join("plugins");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(operator_binary(), folder.join("kubectl-uparams")).unwrap();
    let run = |arguments: &'static [&'static str]| {
        let mut kubectl: Command = control_plane.kubectl();
        // Flags before the name of a plugin are refused, and the kubeconfig is in the environment as well.
        let program = kubectl.get_program().to_owned();
        let environment: Vec<_> = kubectl.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        kubectl = Command::new(program);
        let output = kubectl.args(arguments).env_clear().envs(environment).env("PATH", &folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let version: Value = serde_json::from_str(&run(&["uparams", "version", "-o", "json"])).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["api"], "upstreamparams.dev/v1alpha1");
    let help = run(&["uparams", "status", "--help"]);
    assert!(help.contains("Usage: kubectl uparams status"), "{help}");
}

#[tokio::test]
async fn every_shell_has_completions_and_every_command_a_manual_page() {
    let help = Run::new(&["--help"]).end().await.well();
    let commands: Vec<&str> = help.split_once("Commands:").unwrap().1.split("Options:").next().unwrap().lines().collect();
    let commands: Vec<&str> = commands.iter().filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help").collect();
    assert!(commands.len() > 10, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Run::new(&["completions", shell]).end().await.well();
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
    }
    let dir = World::shared().control_plane.folder().join("man");
    Run::new(&["man", "--dir", dir.to_str().unwrap()]).end().await.well();
    for command in commands {
        let page = std::fs::read_to_string(dir.join(format!("upstream-params-operator-{command}.1"))).unwrap();
        assert!(page.contains(".SH DESCRIPTION") || page.contains(".SH SYNOPSIS"), "{command}");
    }
    let page = Run::new(&["man"]).end().await.well();
    assert!(page.contains("upstream\\-params\\-operator"), "{page}");
}
