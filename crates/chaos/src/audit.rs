//! What the replicas wrote to the API server, by the API server's own record, and whether who wrote was the one to write.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// How far two times may be apart that are one: a request takes its way.
const SLACK: Duration = Duration::from_secs(2);

/// A write that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// When it arrived.
    pub(crate) at: Timestamp,
    /// Whose it was.
    pub(crate) user: String,
    /// What was written, in words.
    pub(crate) what: String,
    /// What it says of the lease, where it is one of it.
    pub(crate) lease: Option<Lease>,
}

/// What a write says of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Whether somebody holds it then.
    pub(crate) held: bool,
    /// For how long from then.
    pub(crate) lasts: Duration,
}

/// The writes of the record, in order.
pub(crate) fn read(text: &str) -> Vec<Write> {
    let mut writes: Vec<Write> = text.lines().filter_map(|line| write_of(&serde_json::from_str(line).ok()?)).collect();
    writes.sort_by_key(|write| write.at);
    writes
}

fn write_of(event: &Value) -> Option<Write> {
    let code = event["responseStatus"]["code"].as_u64()?;
    if !(200..300).contains(&code) {
        return None;
    }
    let reference = &event["objectRef"];
    let part = |name: &str| reference[name].as_str().unwrap_or_default();
    let spec = &event["requestObject"]["spec"];
    let lease = (part("resource") == "leases").then(|| Lease {
        held: spec["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()),
        lasts: Duration::from_secs(spec["leaseDurationSeconds"].as_u64().unwrap_or_default()),
    });
    Some(Write {
        at: event["requestReceivedTimestamp"].as_str()?.parse().ok()?,
        user: event["user"]["username"].as_str()?.to_owned(),
        what: format!(
            "{} {}/{} {}/{}",
            event["verb"].as_str().unwrap_or_default(),
            part("resource"),
            part("subresource"),
            part("namespace"),
            part("name")
        ),
        lease,
    })
}

/// How many writes are of something else than leases.
pub(crate) fn count(writes: &[Write]) -> usize {
    writes.iter().filter(|write| write.lease.is_none()).count()
}

/// Who holds the lease at this time by what is written of it: the user, and the time until which.
fn holder_at(writes: &[Write], at: Timestamp) -> Option<(&str, Timestamp)> {
    let last = writes.iter().rev().filter(|write| write.at <= at).find_map(|write| Some((write, write.lease.as_ref()?)));
    let (write, lease) = last.filter(|(_, lease)| lease.held)?;
    Some((&write.user, write.at.saturating_add(lease.lasts).unwrap_or(write.at)))
}

/// Whether this user holds the lease at some moment around this time, so that it ends no sooner than `until` after it.
fn holds(writes: &[Write], user: &str, at: Timestamp, until: Duration) -> bool {
    let moments = [at.saturating_sub(SLACK), Ok(at)];
    let ends = at.saturating_add(until).and_then(|end| end.saturating_sub(SLACK)).unwrap_or(at);
    moments.into_iter().flatten().any(|moment| holder_at(writes, moment).is_some_and(|(holder, end)| holder == user && end >= ends))
}

/// The writes to the API server of who did not hold the lease.
pub(crate) fn without_lease(writes: &[Write]) -> Vec<String> {
    let of_others = writes.iter().filter(|write| write.lease.is_none());
    let found = of_others.filter(|write| !holds(writes, &write.user, write.at, Duration::ZERO));
    found.map(|write| format!("{} at {}: {}, without the lease", write.user, write.at, write.what)).collect()
}

/// Whether a write to Auth0 of this replica began while it held the lease, and had to end before the lease did.
pub(crate) fn is_fenced(writes: &[Write], user: &str, at: Timestamp, request: Duration) -> bool {
    holds(writes, user, at, request)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(second: u32, user: &str, resource: &str, holder: Option<&str>) -> String {
        json!({
            "verb": "update",
            "user": {"username": user},
            "objectRef": {"resource": resource, "namespace": "default", "name": "x"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": format!("2030-01-01T00:00:{second:02}.000000Z"),
            "requestObject": {"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}},
        })
        .to_string()
    }

    fn at(second: u32) -> Timestamp {
        format!("2030-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn who_writes_holds_the_lease() {
        let lines = [
            line(0, "a", "leases", Some("a-1")),
            line(1, "a", "upstreamparams", None),
            line(10, "a", "leases", None),
            line(11, "b", "leases", Some("b-1")),
            line(12, "b", "upstreamparams", None),
            line(11, "a", "events", None),
            line(20, "a", "upstreamparams", None),
            line(40, "b", "upstreamparams", None),
        ];
        let writes = read(&lines.join("\n"));
        assert_eq!(count(&writes), 5);
        let found = without_lease(&writes);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a at 2030-01-01T00:00:20Z") && found[1].starts_with("b at 2030-01-01T00:00:40Z"), "{found:?}");
        let request = Duration::from_secs(10);
        assert!(is_fenced(&writes, "b", at(14), request) && !is_fenced(&writes, "b", at(22), request));
        assert!(!is_fenced(&writes, "a", at(20), request));
    }

    #[test]
    fn what_failed_is_no_write() {
        let failed = line(0, "a", "events", None).replace("200", "409");
        assert_eq!(read(&format!("{failed}\nnot json\n")), []);
    }
}
