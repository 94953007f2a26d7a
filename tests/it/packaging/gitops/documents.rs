//! The files that users copy: they say what they are said to say, and name only what exists.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use control_plane::binaries;
use control_plane::supervise::Scratch;
use serde_json::Value;

use super::consumers::{ArgoCd, Kstatus, kstatus};
use super::states;
use test_support::repository::{files, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn documents(path: &str) -> Vec<Value> {
    let text = read(path);
    let documents = text.split("\n---\n").map(|one| serde_saphyr::from_str(one).unwrap_or_else(|error| panic!("{path}: {error}")));
    documents.collect()
}

#[test]
fn the_config_map_for_argo_cd_holds_the_health_script_for_both_kinds() {
    let script = read("docs/argocd/health.lua");
    let data = documents("docs/argocd/argocd-cm.yaml").remove(0)["data"].take();
    for kind in ["UpstreamParams", "ClusterAuth0Tenant"] {
        let held = data[format!("resource.customizations.health.upstreamparams.dev_{kind}")].as_str().unwrap();
        assert_eq!(held, script, "{kind}");
        let updates = data[format!("resource.customizations.ignoreResourceUpdates.upstreamparams.dev_{kind}")].as_str().unwrap();
        assert!(serde_saphyr::from_str::<Value>(updates).unwrap()["jqPathExpressions"].is_array(), "{kind}");
    }
    // The copy that users have runs as well as the file.
    let held = data["resource.customizations.health.upstreamparams.dev_UpstreamParams"].as_str().unwrap();
    let argo = ArgoCd::with(held.to_owned());
    assert_eq!(argo.health(&states::unseen("in sync")).0, "Healthy");
    assert_eq!(kstatus(&states::unseen("in sync")), Kstatus::Current);
}

#[test]
fn waves_put_the_operator_before_tenants_and_tenants_before_objects_and_removals_are_confirmed() {
    let wave = |object: &Value| object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str().unwrap().parse::<i32>().unwrap();
    let objects = documents("docs/argocd/objects.yaml");
    let kinds: Vec<(&str, i32)> = objects.iter().map(|object| (object["kind"].as_str().unwrap(), wave(object))).collect();
    assert_eq!(kinds, [("ClusterAuth0Tenant", 1), ("UpstreamParams", 2)]);
    for object in &objects {
        let options = object["metadata"]["annotations"]["argocd.argoproj.io/sync-options"].as_str().unwrap();
        for option in ["Prune=confirm", "Delete=confirm", "SkipDryRunOnMissingResource=true"] {
            assert!(options.split(',').any(|one| one == option), "{option}");
        }
    }
    for path in ["docs/argocd/application.yaml", "docs/argocd/operator.yaml"] {
        let application = documents(path).remove(0);
        let options = application["spec"]["syncPolicy"]["syncOptions"].as_array().unwrap();
        assert!(options.iter().any(|option| option == "ServerSideApply=true"), "{path}");
    }
}

#[test]
fn every_yaml_file_of_the_documentation_can_be_read() {
    for folder in ["docs/argocd", "docs/flux", "docs/observability"] {
        for path in files(folder, "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            for document in text.split("\n---\n") {
                let value: Value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert!(value.is_object(), "{}", path.display());
            }
        }
    }
}

/// The names under which the operator's metrics are scraped.
fn metrics() -> BTreeSet<String> {
    let text = crate::packaging::tidy::scrape_of_everything();
    let families: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(|line| line.split_once(' ').unwrap()).collect();
    let names = families.into_iter().flat_map(|(name, kind)| match kind {
        "counter" => vec![format!("{name}_total")],
        "histogram" => ["bucket", "count", "sum"].map(|part| format!("{name}_{part}")).to_vec(),
        _ => vec![name.to_owned()],
    });
    names.collect()
}

/// The alerts and the dashboard, which the chart ships.
const ALERTS: &str = "charts/upstream-params-operator/files/rules/upstream-params-operator.yaml";
/// Their cases.
const CASES: &str = "docs/observability/alerts_test.yaml";
/// The page of all metrics, and the folder of what to do at an alert.
const METRICS: &str = "docs/reference/metrics.md";
const RUNBOOK: &str = "docs/runbook";
const DASHBOARD: &str = "charts/upstream-params-operator/files/dashboard/upstream-params-operator.json";

/// Every word of a text that looks like one of the operator's metrics. `upstream_params` itself is the field at Auth0.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = |word: &&str| word.starts_with("upstream_params_") || word.starts_with("process_");
    words.filter(|word| ours(word) && *word != "upstream_params_operator").map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_name_only_metrics_that_exist_and_the_documentation_names_all() {
    let known = metrics();
    for path in [ALERTS, CASES, DASHBOARD] {
        let unknown: Vec<String> = named(&read(path)).difference(&known).cloned().collect();
        assert_eq!(unknown, [""; 0], "{path}");
    }
    let documented = named(&read(METRICS));
    // A histogram is documented by its base name.
    let missing: Vec<&String> = known
        .iter()
        .filter(|name| {
            !documented.contains(*name)
                && !["_bucket", "_count", "_sum"].iter().any(|end| name.strip_suffix(end).is_some_and(|base| documented.contains(base)))
        })
        .collect();
    assert_eq!(missing, [""; 0], "not in {METRICS}");
}

/// promtool, with these arguments, at the root of the repository.
async fn promtool(arguments: &[&str]) -> Output {
    let program = binaries::promtool(&control_plane::on_standard_error()).await.unwrap();
    Command::new(program).args(arguments).current_dir(root()).output().unwrap()
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_alerts_and_their_cases_pass() {
    let checked = promtool(&["check", "rules", "--lint=all", "--lint-fatal", ALERTS]).await;
    let count = documents(ALERTS)[0]["groups"][0]["rules"].as_array().unwrap().len();
    assert!(checked.status.success() && text(&checked).contains(&format!("{count} rules found")), "{}", text(&checked));
    let tested = promtool(&["test", "rules", CASES]).await;
    assert!(tested.status.success() && text(&tested).contains("SUCCESS"), "{}", text(&tested));
}

#[tokio::test]
async fn the_cases_of_the_alerts_fail_when_an_alert_is_wrong() {
    let scratch = Scratch::new("alerts").unwrap();
    let (rules, cases) = (scratch.path().join("rules.yaml"), scratch.path().join("cases.yaml"));
    let relative = format!("rule_files: [../../{ALERTS}]");
    assert!(read(CASES).contains(&relative));
    std::fs::write(&cases, read(CASES).replace(&relative, "rule_files: [rules.yaml]")).unwrap();
    let right = read(ALERTS);
    // One for each alert, in their order: a threshold, a condition or a wait that somebody might get wrong.
    let wrongs = [
        ("== 1)\n    for: 10m", "== 1)\n    for: 40m"),
        ("max(upstream_params_leader) == 0\n    for: 5m", "min(upstream_params_leader) == 0\n    for: 5m"),
        ("upstream_params_build_info)) > 1\n    for: 1h", "upstream_params_build_info)) > 1\n    for: 10m"),
        ("upstream_params_tenant_authenticated) == 0", "upstream_params_tenant_authenticated) == 2"),
        ("age_seconds) > 1800", "age_seconds) > 18000"),
        ("calls_total[30m])) > 30", "calls_total[30m])) >= 0"),
        ("wait_seconds) > 1800", "wait_seconds) > 600"),
        ("seconds_count[30m])) > 10", "seconds_count[30m])) > 0"),
        ("{status=\"429\"}", "{status=\"200\"}"),
        ("status!~\"2..|429\"", "status=\"429\""),
        ("stalled_objects) > 0", "stalled_objects) > 1"),
        ("contended_parameters) > 0", "contended_parameters) > 2"),
        ("differences_total[1h])) > 0", "differences_total[1h])) > 2"),
    ];
    assert_eq!(wrongs.len(), right.matches("- alert:").count(), "an alert without a mistake to be found");
    for (correct, wrong) in [("", "")].into_iter().chain(wrongs) {
        assert!(correct.is_empty() || right.matches(correct).count() == 1, "{correct}");
        std::fs::write(&rules, right.replacen(correct, wrong, 1)).unwrap();
        let output = promtool(&["test", "rules", cases.to_str().unwrap()]).await;
        assert_eq!(output.status.success(), correct.is_empty(), "{correct} -> {wrong}: {}", text(&output));
    }
}

#[tokio::test]
async fn every_query_of_the_dashboard_is_promql_about_a_metric_of_the_operator() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(queries.len() >= panels.len(), "a panel without a query");
    for query in queries {
        assert!(!named(query).is_empty(), "{query}");
        let filled_in = query.replace("$__rate_interval", "5m").replace("$tenant", ".*");
        assert!(!filled_in.contains('$'), "a variable that the dashboard lacks: {query}");
        let parsed = promtool(&["--experimental", "promql", "format", &filled_in]).await;
        assert!(parsed.status.success(), "{query}: {}", text(&parsed));
    }
}

/// A scrape in the older text format, which is the one that `promtool check metrics` reads: a counter has its suffix in its name,
/// and there are no units and no end.
fn as_older_text(scrape: &str) -> String {
    let counters: Vec<&str> = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let lines = scrape.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF");
    let older = lines.map(|line| {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(&name) => format!("# {what} {name}_total {rest}\n"),
            _ => format!("{line}\n"),
        }
    });
    older.collect()
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let scratch = Scratch::new("metrics").unwrap();
    let check = async |scrape: &str| {
        let file = scratch.path().join("scrape.txt");
        std::fs::write(&file, as_older_text(scrape)).unwrap();
        let program = binaries::promtool(&control_plane::on_standard_error()).await.unwrap();
        Command::new(program).args(["check", "metrics", "--extended"]).stdin(std::fs::File::open(file).unwrap()).output().unwrap()
    };
    let scrape = crate::packaging::tidy::scrape_of_everything();
    let right = check(&scrape).await;
    assert!(right.status.success() && right.stderr.is_empty(), "{}", text(&right));
    // It read all of them.
    for name in ["upstream_params_check_duration_seconds", "upstream_params_checks_total", "process_cpu_seconds_total"] {
        assert!(text(&right).contains(name), "{name}: {}", text(&right));
    }
    let wrong = check(&scrape.replace("process_virtual_memory_bytes", "process_virtual_memory_kilobytes")).await;
    assert!(!wrong.status.success(), "{}", text(&wrong));
}

/// The part of the picture that is one panel.
fn drawn(picture: &str, id: u64) -> Option<&str> {
    picture.split_once(&format!("<g id=\"panel-{id}\">"))?.1.split_once("</g>").map(|(panel, _)| panel)
}

/// That it is what the recording yields is what `go -C tests/dashboard run . --check` says.
#[test]
fn the_picture_of_the_dashboard_has_every_panel_with_its_queries_and_something_in_it() {
    let escape =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('\'', "&#39;");
    let picture = read("docs/images/dashboard.svg");
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(picture.matches("<g id=\"panel-").count(), panels.len());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let drawn = drawn(&picture, panel["id"].as_u64().unwrap()).unwrap_or_else(|| panic!("{title} is not in the picture"));
        assert!(drawn.contains(&format!("<title>{}</title>", escape(title))), "{title}");
        let queries: Vec<&str> = panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap()).collect();
        let described = format!("<desc>{}</desc>", escape(&queries.join("\n")));
        assert!(drawn.contains(&described), "{title} has other queries now; draw it anew: cd tests/dashboard && go run .");
        let values = if panel["type"] == "stat" { "class=\"text value\"" } else { "class=\"line l" };
        assert!(drawn.contains(values), "{title} is empty");
    }
}

#[test]
fn every_alert_is_tested_and_documented() {
    let alerts = documents(ALERTS).remove(0);
    let tests = read(CASES);
    let index = read(&format!("{RUNBOOK}/index.md"));
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 6);
    // A page for each alert and the index, and no page for an alert that is gone.
    assert_eq!(files(RUNBOOK, "md").len(), rules.len() + 1);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
        assert!(index.contains(&format!("[{name}]({name}.md) | {} |", rule["labels"]["severity"].as_str().unwrap())), "{name}");
        let page = read(&format!("{RUNBOOK}/{name}.md"));
        for part in [&format!("# {name}"), "**When:** ", "**Impact:** ", "## Look", "## Do"] {
            assert!(page.lines().any(|line| line.starts_with(part)), "the page of {name} lacks {part}");
        }
        // The alert leads to that page, at the address of the repository.
        let link = rule["annotations"]["runbook_url"].as_str().unwrap_or_else(|| panic!("{name} has no runbook_url"));
        assert_eq!(link, format!("{}/blob/main/{RUNBOOK}/{name}.md", env!("CARGO_PKG_REPOSITORY")));
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{name} has no {text}");
        }
    }
}
