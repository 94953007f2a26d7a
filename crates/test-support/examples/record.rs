//! Records what two replicas of the operator show at `/metrics` during twelve minutes in which all sorts of things happen: the
//! ground of the picture of the dashboard. Afterwards: `cd tests/dashboard && go run .`
//!
//! `cargo build && cargo run -p test-support --example record -- tests/dashboard/recording.txt`

#![allow(clippy::unwrap_used, clippy::panic, reason = "it is run by hand, and what does not work ends it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use auth0_emulator::{Fault, RateLimited};
use serde_json::json;
use test_support::manifest::{edit, on, tenant};
use test_support::{Scope, World, get};

/// The time between two scrapes.
const SCRAPE: Duration = Duration::from_secs(10);
/// How many there are.
const SCRAPES: usize = 73;
/// How many connections the larger tenant has: its budget is used up by the first sync.
const CONNECTIONS: usize = 60;

/// What the recording begins with.
const HEAD: &str = "\
# Two replicas of the operator, scraped every 10 seconds while connections are edited, calls are limited, fail and are slow, and the
# leader is stopped. In the format in which the tests of Prometheus load series; numbers have at most four digits after the point.
# Made by: cargo build && cargo run -p test-support --example record -- tests/dashboard/recording.txt
load 10s
";

#[tokio::main]
async fn main() {
    let file: PathBuf = std::env::args().nth(1).expect("the file to write: tests/dashboard/recording.txt").into();
    let world = World::setup().start().await;
    let (launch, _proxy) = world.another("second");
    let second = launch.start();
    second.until_ready().await;
    let production = world.scope_with("production", tenant().resync(60).rate_limit(120, 120, 10)).await;
    let staging = world.scope_with("staging", tenant().resync(60).rate_limit(60, 60, 10)).await;
    let mut recording = Recording::default();
    let mut ticks = tokio::time::interval(SCRAPE);
    for nth in 0..SCRAPES {
        ticks.tick().await;
        for (instance, port) in [("operator-0", world.port()), ("operator-1", second.port)] {
            let text = get(("127.0.0.1", port), "/metrics").await.ok().filter(|(status, _)| *status == 200).map(|(_, text)| text);
            recording.scrape(nth, instance, text.as_deref());
        }
        happens(nth, &world, &production, &staging).await;
    }
    std::fs::write(&file, recording.text()).unwrap();
    second.stop().await;
    world.stop_operator().await;
}

fn name(nth: usize) -> String {
    format!("app-{nth}")
}

/// What happens after the scrape of this number.
async fn happens(nth: usize, world: &World, production: &Scope<'_>, staging: &Scope<'_>) {
    let auth0 = &production.auth0;
    let drifts = |nth: usize, value: &str| {
        let value = value.to_owned();
        auth0.edit(&name(nth), move |options| options["upstream_params"]["blog"] = json!({"value": value}));
    };
    match nth {
        1 => {
            auth0.inject(Fault::delay(Duration::from_millis(120)));
            staging.auth0.inject(Fault::delay(Duration::from_millis(60)));
            for nth in 0..CONNECTIONS {
                production.connection(&name(nth), "wordpress");
                production.create(&name(nth), on(&name(nth)).value("blog", "ours")).await;
            }
            for nth in 0..8 {
                staging.connection(&name(nth), "wordpress");
                staging.create(&name(nth), on(&name(nth)).value("blog", "ours")).await;
            }
            // There is no authorization request to add to.
            staging.odd_connection("saml", "samlp", &json!({}));
            staging.create("saml", on("saml").value("blog", "ours")).await;
        }
        // Somebody fights for one of them, and changes others once.
        11 | 18 | 25 | 32 => drifts(0, &format!("theirs-{nth}")),
        12..=16 => drifts(nth, "theirs"),
        // Somebody else uses up the tenant's limit.
        26 => auth0.inject(Fault::rate_limited(RateLimited { reset: Some(30), ..RateLimited::default() }).times(4)),
        33 => auth0.inject(Fault::status(503).times(10)),
        36 => auth0.inject(Fault::drop().times(5)),
        // It answers slowly, and then edits come.
        39 => auth0.inject(Fault::delay(Duration::from_secs(2)).times(25)),
        41 => {
            for nth in 20..40 {
                production.edit(&name(nth), edit().value("blog", "new")).await;
            }
        }
        // Somebody edits something else right after the operator wrote, which sees it at the next look.
        46 => {
            production.edit(&name(5), edit().value("blog", "new")).await;
            production.until_auth0("the write", |auth0| auth0.upstream_params(&name(5))["blog"]["value"] == "new").await;
            auth0.edit(&name(5), |options| options["scope"] = json!(["openid"]));
        }
        // An update: the leader ends, and comes back as the one who stands by.
        56 => world.stop_operator().await,
        59 => world.start_operator(),
        _ => {}
    }
}

/// The series of all scrapes.
#[derive(Default)]
struct Recording {
    series: BTreeMap<String, Vec<Option<String>>>,
}

impl Recording {
    /// Takes in what a replica showed; nothing where it did not answer.
    fn scrape(&mut self, nth: usize, instance: &str, text: Option<&str>) {
        let target = format!("instance=\"{instance}\",job=\"upstream-params-operator\"");
        self.put(nth, format!("up{{{target}}}"), if text.is_some() { "1" } else { "0" });
        for line in text.unwrap_or_default().lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let series = match series.split_once('{') {
                Some((metric, labels)) => format!("{metric}{{{target},{labels}"),
                None => format!("{series}{{{target}}}"),
            };
            let value = (value.parse::<f64>().unwrap() * 10_000.0).round() / 10_000.0;
            self.put(nth, series, &value.to_string());
        }
    }

    fn put(&mut self, nth: usize, series: String, value: &str) {
        let values = self.series.entry(series).or_default();
        values.resize(nth, None);
        values.push(Some(value.to_owned()));
    }

    /// As the tests of Prometheus write it: what is repeated is counted, `_` is no sample, and `stale` says that the series is gone.
    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (series, values) in &self.series {
            let mut values: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("_")).collect();
            values.resize(SCRAPES, "_");
            for nth in 1..SCRAPES {
                if values[nth] == "_" && !matches!(values[nth - 1], "_" | "stale") {
                    values[nth] = "stale";
                }
            }
            text.push_str(series);
            for run in values.chunk_by(|one, next| one == next) {
                let (value, more) = (run[0], run.len() - 1);
                match (value, more) {
                    ("_", _) => write!(text, " _x{}", run.len()),
                    (_, 0) => write!(text, " {value}"),
                    _ => write!(text, " {value}x{more}"),
                }
                .unwrap();
            }
            text.push('\n');
        }
        text
    }
}
