//! One name for the repository, the image and the charts: `repository` in `Cargo.toml`. Everything that names one of them follows.
//!
//! `UPDATE_EXPECT=1 cargo test --test it packaging::names` writes it everywhere, for a fork that has changed it there.

use std::path::PathBuf;

use expect_test::expect_file;
use test_support::repository::{files_below, read, root};

/// The repository as `OWNER/NAME`.
fn repository() -> &'static str {
    let url = env!("CARGO_PKG_REPOSITORY");
    let repository = url.strip_prefix("https://github.com/").expect("repository of Cargo.toml is at https://github.com/");
    assert_eq!(repository.split('/').count(), 2, "{url}");
    // Names of images are in lower case.
    assert_eq!(repository, repository.to_lowercase(), "{url}");
    repository
}

/// The files in which it is named, from this folder or file on.
const PLACES: [&str; 11] =
    ["Cargo.toml", "Dockerfile", "README.md", "CHANGELOG.md", "SECURITY.md", "book.toml", "charts", "docs", "kustomize", "olm", ".github"];

/// Where names of repositories and images begin; the last as a regular expression has it.
const HOSTS: [&str; 4] = ["ghcr.io/", "github.com/", "raw.githubusercontent.com/", r"github\.com/"];

fn texts() -> Vec<PathBuf> {
    let below = |place: &str| {
        let path = root().join(place);
        if path.is_dir() { files_below(&path, "") } else { vec![path] }
    };
    PLACES.into_iter().flat_map(below).filter(|file| file.extension().is_none_or(|extension| extension != "sum")).collect()
}

/// The text with each name of this repository, its image and its charts as they have to be. Other repositories are left alone.
fn renamed(text: &str, owner: &str, name: &str) -> String {
    let segment = |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
    let (mut renamed, mut rest) = (String::new(), text);
    while let Some((at, host)) = HOSTS.into_iter().filter_map(|host| Some((rest.find(host)?, host))).min() {
        let (head, tail) = rest.split_at(at + host.len());
        renamed.push_str(head);
        let (of, after) = tail.split_at(segment(tail));
        // Where any owner is meant, none is filled in.
        let what = after.strip_prefix('/').map(|after| &after[..segment(after)]).filter(|_| of != "OWNER");
        rest = match what {
            Some(what) if what == name || what == "upstream-params-operator" => {
                renamed.push_str(&[owner, "/", name].concat());
                &after[1 + what.len()..]
            }
            Some("charts") if host == "ghcr.io/" => {
                renamed.push_str(owner);
                after
            }
            Some(_) | None => tail,
        };
    }
    renamed + rest
}

#[test]
fn only_names_of_this_repository_are_written() {
    let text = "oci://ghcr.io/example/charts/x, ghcr.io/example/upstream-params-operator:1 and https://github.com/other/thing";
    let forked = "oci://ghcr.io/me/charts/x, ghcr.io/me/fork:1 and https://github.com/other/thing";
    assert_eq!(renamed(text, "me", "fork"), forked);
    assert_eq!(renamed(forked, "me", "fork"), forked);
    for unchanged in ["github.com/", "ghcr.io/OWNER/charts"] {
        assert_eq!(renamed(unchanged, "me", "fork"), unchanged);
    }
}

#[test]
fn image_charts_and_links_have_the_name_of_the_repository() {
    let (owner, name) = repository().split_once('/').unwrap();
    let mut named = 0;
    for file in texts() {
        let text = read(&file);
        let right = renamed(&text, owner, name);
        named += usize::from(text.contains(&format!("{owner}/{name}")) || text.contains(&format!("ghcr.io/{owner}/charts")));
        expect_file![file].assert_eq(&right);
    }
    assert!(named >= 8, "only {named} files name it");
}
