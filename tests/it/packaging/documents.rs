//! The README and the pages of the site: every page is listed, every link leads somewhere, what they show works.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use test_support::World;
use test_support::repository::{files, read, root};
use test_support::wait::eventually;
use upstream_params_operator::api::reason::Reason;
use upstream_params_operator::api::upstream_params::{Alias, ParamState};

use super::markdown::{anchors_of, code_of, fences_of, links_of};
use super::tidy::{check_document, run};

/// Everything that is written for people.
fn documents() -> Vec<PathBuf> {
    let apart = [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "charts/upstream-params-operator/README.md",
        "crates/control-plane/go/README.md",
        "examples/README.md",
    ];
    apart.map(|name| root().join(name)).into_iter().chain(files("docs", "md")).collect()
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn the_readme_is_for_somebody_who_has_three_minutes() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 150, "README.md has {lines} lines: 150 at most; the rest belongs to docs/");
}

#[test]
fn the_readme_and_the_check_of_the_repository_run_the_same_commands() {
    let (readme, script) = (read(&root().join("README.md")), read(&root().join(".ci/run")));
    for command in ["cargo test --workspace", "cargo run --release -- demo"] {
        assert!(readme.lines().any(|line| line.split('#').next().unwrap().trim_end() == command), "README.md lacks {command}");
        let run = format!("run {command}");
        assert!(script.lines().any(|line| line == run || line.strip_suffix(" --once") == Some(&run)), ".ci/run lacks {run}");
    }
}

#[test]
fn the_site_lists_each_page_once_and_is_built_where_everything_is_checked() {
    let summary = links_of(&read(&root().join("docs/SUMMARY.md")));
    let listed: BTreeSet<&String> = summary.iter().collect();
    assert_eq!(listed.len(), summary.len(), "docs/SUMMARY.md names a page twice");
    let pages: BTreeSet<String> =
        files("docs", "md").iter().map(|file| short(file)["docs/".len()..].to_owned()).filter(|page| page != "SUMMARY.md").collect();
    assert_eq!(listed.into_iter().cloned().collect::<BTreeSet<_>>(), pages, "docs/SUMMARY.md and the pages of docs/");
    assert!(read(&root().join(".ci/run")).lines().any(|line| line == "run .ci/docs"), ".ci/run does not build the site");
}

#[test]
fn each_page_has_one_title() {
    // The list of pages has the names of its parts as titles.
    for document in documents().into_iter().filter(|document| !document.ends_with("docs/SUMMARY.md")) {
        let text = read(&document);
        let titles = text.lines().filter(|line| line.starts_with("# ")).count();
        let in_code = fences_of(&text).iter().flat_map(|code| code.lines()).filter(|line| line.starts_with("# ")).count();
        assert_eq!(titles - in_code, 1, "{} has not one title", short(&document));
    }
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    for document in &documents() {
        for link in links_of(&read(document)).iter().filter(|link| !link.starts_with("https://")) {
            let (path, heading) = link.split_once('#').map_or((link.as_str(), None), |(path, heading)| (path, Some(heading)));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}", short(document));
            if let Some(heading) = heading {
                assert!(anchors_of(&read(&target)).contains(heading), "{}: {link}", short(document));
            }
        }
    }
}

/// The longest line of a document.
const WIDTH: usize = 130;

#[test]
fn lines_of_documents_are_short_but_for_tables_code_and_links() {
    for document in documents() {
        let text = read(&document);
        let (mut in_code, mut is_made) = (false, false);
        for line in text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            in_code ^= is_fence;
            is_made = !line.starts_with("<!-- end: ") && (is_made || line.starts_with("<!-- begin: "));
            let is_free = is_fence || in_code || is_made || line.starts_with('|') || line.starts_with("![");
            // What can't be broken may be long.
            let is_one_word = !line.trim_start().trim_start_matches("- ").contains(' ');
            assert!(is_free || is_one_word || line.chars().count() <= WIDTH, "{}: {line}", short(&document));
        }
    }
}

/// The ways in which a document runs the operator's binary.
const CALLS: [&str; 4] = ["upstream-params-operator ", "kubectl uparams ", "cargo run --release -- ", "cargo run -- "];

#[test]
fn commands_of_the_documentation_exist() {
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        let code = code_of(&text);
        let lines = code.iter().flat_map(|code| code.lines()).map(|line| line.trim_start().trim_start_matches("$ "));
        for line in lines {
            let Some(call) = CALLS.iter().find_map(|call| line.strip_prefix(call)) else { continue };
            let words: Vec<&str> = call.split_whitespace().take_while(|word| !["|", "\\", "#", "&&", ">"].contains(word)).collect();
            // The binary's own flags, and words that stand for others (`COMMAND`, `...`), are no commands.
            let Some((command, arguments)) = words.split_first().filter(|(word, _)| word.chars().all(|c| c.is_ascii_lowercase())) else {
                continue;
            };
            let help = run(&[command, "--help"]);
            for flag in arguments.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                assert!(help.contains(flag), "{}: {command} has no {flag}", short(&document));
            }
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen}");
}

#[tokio::test]
async fn kubectl_explains_every_alias() {
    let kubectl = &World::shared().control_plane;
    let ask = async || {
        // What there is to explain is cached from before the definitions came; this asks for it again.
        kubectl.run(["api-resources", "--api-group=upstreamparams.dev"]).await.ok()?;
        kubectl.run(["explain", "uparams.spec.params"]).await.ok()
    };
    let explained = eventually("kubectl explains uparams.spec.params", ask, async || "an error".to_owned()).await;
    let words: BTreeSet<&str> = explained.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    for alias in Alias::ALL {
        assert!(words.contains(alias.as_str()), "{alias}\n{explained}");
    }
}

/// The manifests of this project's own kinds that a document shows whole, with the document they stand in.
pub(super) fn manifests() -> Vec<(String, String)> {
    let of = |document: &PathBuf| {
        let name = short(document);
        let fences = fences_of(&read(document)).into_iter().filter_map(|fence| Some(fence.strip_prefix("yaml\n")?.to_owned()));
        let whole = fences.filter(|text| text.starts_with("apiVersion: upstreamparams.dev/"));
        let parts = whole.flat_map(|text| text.split("\n---\n").map(str::to_owned).collect::<Vec<_>>());
        parts.map(move |part| (name.clone(), part)).collect::<Vec<_>>()
    };
    documents().iter().flat_map(of).collect()
}

#[test]
fn manifests_in_the_documentation_are_valid() {
    let manifests = manifests();
    assert!(manifests.len() >= 9, "{}", manifests.len());
    for (place, text) in &manifests {
        check_document(place, text);
    }
}

#[test]
fn troubleshooting_has_every_reason_for_which_somebody_may_look() {
    let well = ["Accepted", "ResolvedRefs", "InSync", "Applied", "Ready", "Progressing", "Authenticated"];
    let links = links_of(&read(&root().join("docs/troubleshooting.md")));
    for reason in Reason::ALL.iter().filter(|reason| !well.contains(&reason.as_str())) {
        let link = format!("reference/reasons.md#{}", reason.as_str().to_lowercase());
        assert!(links.contains(&link), "docs/troubleshooting.md does not link {link}");
    }
    for name in well {
        assert!(name.parse::<Reason>().is_ok(), "{name} is not a reason any more");
    }
}

#[test]
fn reasons_and_states_that_documents_show_exist() {
    for document in documents() {
        let text = read(&document);
        for reason in text.lines().filter_map(|line| line.trim_start().strip_prefix("reason: ")) {
            assert!(reason.parse::<Reason>().is_ok(), "{} shows a reason that does not exist: {reason}", short(&document));
        }
        for state in text.lines().filter_map(|line| line.trim_start().strip_prefix("state: ")) {
            assert!(state.parse::<ParamState>().is_ok(), "{} shows a state that does not exist: {state}", short(&document));
        }
    }
}
