//! The action for pull requests: `action.yml`. Its scripts are run as they stand there, with the real program, and with stand-ins
//! for what only GitHub has.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use test_support::operator_binary;
use test_support::repository::{read, root};

fn action() -> Value {
    serde_saphyr::from_str(&read(&root().join("action.yml"))).unwrap()
}

fn steps() -> Vec<Value> {
    action()["runs"]["steps"].as_array().unwrap().clone()
}

fn step(name: &str) -> Value {
    steps().into_iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}"))
}

/// The names behind `prefix` in a text.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
    text.match_indices(prefix).map(|(at, _)| text[at + prefix.len()..].split(ends).next().unwrap().to_owned()).collect()
}

#[test]
fn scripts_are_scripts_and_hold_no_expression() {
    let steps = steps();
    assert!(steps.len() >= 5);
    for step in steps {
        if let Some(action) = step["uses"].as_str() {
            let hash = action.rsplit_once('@').map(|(_, hash)| hash).unwrap_or_default();
            assert!(hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
            continue;
        }
        let script = step["run"].as_str().unwrap();
        assert_eq!(step["shell"], "bash", "{script}");
        // GitHub would put the text of an input into the script, where it is run.
        assert!(!script.contains("${{"), "{script}");
        let output = Command::new("bash").args(["-n", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // What it reads of the environment is given to it, or is GitHub's.
        let given: BTreeSet<String> = step["env"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let reads =
            names(script, "$").into_iter().filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        for name in reads.filter(|name| !name.starts_with("GITHUB_") && !name.starts_with("RUNNER_")) {
            assert!(given.contains(&name), "{name} in: {script}");
        }
        for name in &given {
            // These the program reads itself.
            assert!(
                script.contains(&format!("${name}")) || name.starts_with("AUTH0_") || name == "GH_TOKEN",
                "{name} is not read by: {script}"
            );
        }
    }
}

#[test]
fn inputs_and_outputs_are_those_that_are_used() {
    let action = action();
    let declared: BTreeSet<String> = action["inputs"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names(&action["runs"].to_string(), "inputs."), declared);
    for (name, input) in action["inputs"].as_object().unwrap() {
        assert!(input["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        assert!(input["required"] == true || input["default"].is_string(), "{name}");
    }
    for (name, output) in action["outputs"].as_object().unwrap() {
        let value = output["value"].as_str().unwrap();
        let id = names(value, "steps.").into_iter().next().unwrap();
        let step = steps().into_iter().find(|step| step["id"] == id.as_str()).unwrap_or_else(|| panic!("{name}: no step {id}"));
        assert!(step["run"].as_str().unwrap().contains(&format!("{name}=")), "{name}");
    }
    assert!(action["description"].as_str().unwrap().contains("released image"));
}

/// A folder in which a step runs.
struct Runner(PathBuf);

impl Runner {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("upo-action-{}-{name}", std::process::id()));
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// A program of this name, which is first on the path.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.0.join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Runs a step as GitHub runs it.
    fn run(&self, step: &str, environment: &[(&str, &str)]) -> Output {
        let script = self.0.join("script.sh");
        std::fs::write(&script, self::step(step)["run"].as_str().unwrap()).unwrap();
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(script).current_dir(&self.0).env_clear().env("PATH", path);
        for file in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
            std::fs::write(self.0.join(file), "").unwrap();
            command.env(file, self.0.join(file));
        }
        command.env("RUNNER_TEMP", &self.0).envs(environment.iter().copied()).output().unwrap()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn binary() -> String {
    operator_binary().display().to_string()
}

#[test]
fn the_program_is_that_of_the_image_or_your_own() {
    let runner = Runner::new("program");
    let own = runner.run("The program", &[("IMAGE", ""), ("BINARY", &binary())]);
    assert!(own.status.success(), "{}", text(&own.stderr));
    assert!(runner.file("GITHUB_OUTPUT").starts_with("program=/"), "{}", runner.file("GITHUB_OUTPUT"));

    let script = "echo \"$*\" >> calls\ncase $1 in create) echo id;; cp) cp \"$REAL\" \"$3\";; esac";
    runner.program("docker", script);
    let image = runner.run("The program", &[("IMAGE", "ghcr.io/x/y@sha256:1"), ("BINARY", ""), ("REAL", &binary())]);
    assert!(image.status.success(), "{}", text(&image.stderr));
    assert!(
        runner.file("calls").starts_with("create -- ghcr.io/x/y@sha256:1\ncp id:/upstream-params-operator "),
        "{}",
        runner.file("calls")
    );

    let neither = runner.run("The program", &[("IMAGE", ""), ("BINARY", "")]);
    assert!(!neither.status.success() && text(&neither.stdout).starts_with("::error::set image"));
}

#[test]
fn lint_writes_its_findings_and_fails_for_errors() {
    let runner = Runner::new("lint");
    let head = "apiVersion: upstreamparams.dev/v1alpha1\nkind: UpstreamParams\nmetadata: {name: a}\nspec:\n  connection: {name: a}\n";
    std::fs::create_dir_all(runner.0.join("my manifests")).unwrap();
    std::fs::write(runner.0.join("my manifests/a.yaml"), format!("{head}  params: {{blog: {{value: x}}}}\n")).unwrap();
    let run = |paths: &str, strict: &str| {
        let environment = [("PROGRAM", &*binary()), ("PATHS", paths), ("CONNECTIONS", ""), ("STRICT", strict), ("SARIF_FILE", "out.sarif")];
        runner.run("Lint", &environment)
    };
    let fine = run("my manifests\n\n", "true");
    assert!(fine.status.success(), "{}{}", text(&fine.stdout), text(&fine.stderr));
    let sarif: Value = serde_json::from_str(&runner.file("out.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"], serde_json::json!([]));
    assert_eq!(runner.file("GITHUB_OUTPUT"), "sarif-file=out.sarif\n");

    std::fs::write(
        runner.0.join("b.yaml"),
        format!("{head}  params: {{blog: {{value: 5}}}}\n").replace("name: a}\nspec", "name: b}\nspec"),
    )
    .unwrap();
    let wrong = run("my manifests\nb.yaml", "false");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stdout).contains("::error file=b.yaml,line=6,"), "{}", text(&wrong.stdout));
    let sarif: Value = serde_json::from_str(&runner.file("out.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "b.yaml");

    // A path that looks like a flag is a path, and an input is no script.
    let odd = run("--help\n$(touch hacked)", "false");
    assert_eq!(odd.status.code(), Some(1));
    assert!(!runner.0.join("hacked").exists());
}

#[test]
fn a_plan_says_whether_anything_would_change_and_is_kept() {
    let runner = Runner::new("plan");
    let plan = runner.program("plan", "echo \"$*\" > words\nprintf '%s' \"$SAYS\"\nexit \"$ENDS\"");
    let run = |says: &str, ends: &str| {
        let environment =
            [("PROGRAM", plan.to_str().unwrap()), ("PATHS", "a b\nc"), ("PLAN_FILE", "plan.md"), ("SAYS", says), ("ENDS", ends)];
        let output = runner.run("Plan", &environment);
        (output.status.code(), runner.file("GITHUB_OUTPUT"))
    };
    assert_eq!(run("# plan", "0"), (Some(0), "plan-file=plan.md\nchanges=false\ncode=0\n".to_owned()));
    assert_eq!(runner.file("words"), "plan --no-cluster --exit-code --output markdown -- a b c\n");
    assert_eq!(runner.file("GITHUB_STEP_SUMMARY"), "# plan");
    assert_eq!(run("# plan", "3"), (Some(0), "plan-file=plan.md\nchanges=true\ncode=3\n".to_owned()));
    assert_eq!(run("# plan", "1"), (Some(0), "plan-file=plan.md\ncode=1\n".to_owned()));
    assert_eq!(run("", "1").0, Some(1));
    assert_eq!(runner.run("How the plan ended", &[("CODE", "1")]).status.code(), Some(1));
    assert_eq!(runner.run("How the plan ended", &[("CODE", "3")]).status.code(), Some(0));
}

/// The words of the real program are those that the script says.
#[test]
fn the_program_knows_the_flags_of_the_plan() {
    let words = ["plan", "--no-cluster", "--exit-code", "--output", "markdown", "--", "missing.yaml"];
    let output = Command::new(operator_binary()).args(words).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("missing.yaml"), "{}", text(&output.stderr));
}

#[test]
fn there_is_one_comment_which_is_updated() {
    let runner = Runner::new("comment");
    std::fs::write(runner.0.join("plan.md"), "# plan\n").unwrap();
    runner.program("gh", "printf '%s\\n' \"$*\" >> calls\ncase \"$*\" in *--paginate*) printf '%s' \"$IDS\";; esac");
    let run = |ids: &str| {
        std::fs::write(runner.0.join("calls"), "").unwrap();
        let environment = [("PLAN_FILE", "plan.md"), ("GH_TOKEN", "x"), ("REPOSITORY", "o/r"), ("NUMBER", "7"), ("IDS", ids)];
        let output = runner.run("Comment", &environment);
        assert!(output.status.success(), "{}", text(&output.stderr));
        runner.file("calls").lines().last().unwrap().to_owned()
    };
    let body = format!("--field body=@{}", runner.0.join("comment.md").display());
    assert_eq!(run(""), format!("api --silent --method POST repos/o/r/issues/7/comments {body}"));
    assert_eq!(run("11\n12\n"), format!("api --silent --method PATCH repos/o/r/issues/comments/11 {body}"));
    assert_eq!(runner.file("comment.md"), "<!-- upstream-params-operator: plan -->\n# plan\n");
}
