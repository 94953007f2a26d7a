//! The whole table: every way in which a pass can end, and all that follows from it.

use super::*;

/// Each line is concluded for a new object, for one whose generation was in sync before, and for two that are being deleted.
///
/// `+`, `-` and `?` stand for True, False and Unknown; `!` for Stalled, `~` and `>` for Reconciling with and without retry.
///
/// - `Accepted`, `ResolvedRefs`, `Synced`, `Ready`: of the new object; `Ready before`: of the one that was in sync.
/// - `lines`: what the status of the latter says of parameters, with a `*` where they are owned. Before, that was `blog* lang`.
/// - `goes`, `lost`: what becomes of the finalizer when it is being deleted; the second where the record was lost.
/// - `waits`: whether `Ready` then says what it waits for.
const TABLE: &str = "
outcome              Accepted              ResolvedRefs         Synced            Ready                   Ready before            lines       goes  lost  waits
invalid              -InvalidSpec          ?Pending             ?Pending          -InvalidSpec !          -InvalidSpec !          blog*       stays goes
no tenant            ?Pending              -TenantNotFound      ?Pending          -TenantNotFound ~       -TenantNotFound ~       blog* lang  stays goes
tenant not ready     ?Pending              ?Pending             ?TenantNotReady   -TenantNotReady ~       +Ready                  blog* lang  stays stays waits
not permitted        -NotPermitted         ?Pending             ?Pending          -NotPermitted ~         -NotPermitted ~         blog*       stays goes
no connection        ?Pending              -ConnectionNotFound  ?Pending          -ConnectionNotFound ~   -ConnectionNotFound ~   blog* lang  stays goes
connection gone      ?Pending              -ConnectionNotFound  ?Pending          -ConnectionNotFound ~   -ConnectionNotFound ~               goes  goes
unread, ours         ?Pending              ?Pending             -ApplyFailed      -ApplyFailed ~          -ApplyFailed ~          blog* lang  stays stays waits
unread, tenant's     ?Pending              ?Pending             ?RateLimited      -RateLimited ~          +Ready                  blog* lang  stays stays waits
refused              -UnsupportedStrategy  +ResolvedRefs        ?Pending          -UnsupportedStrategy !  -UnsupportedStrategy !  blog*       stays goes
refused              -ReservedParam        +ResolvedRefs        ?Pending          -ReservedParam ~        -ReservedParam ~        blog*       stays goes
nothing to write     +Accepted             +ResolvedRefs        +InSync           +Ready                  +Ready                  blog*       goes  goes
written              +Accepted             +ResolvedRefs        +Applied          +Ready                  +Ready                  blog*       goes  goes
failed, ours         +Accepted             +ResolvedRefs        -ApplyFailed      -ApplyFailed ~          -ApplyFailed ~          blog*       stays stays waits
failed, tenant's     +Accepted             +ResolvedRefs        ?RateLimited      -RateLimited ~          +Ready                  blog*       stays stays waits
postponed, ours      +Accepted             +ResolvedRefs        ?Pending          ?Pending >              ?Pending >              blog*       stays stays waits
postponed, tenant's  +Accepted             +ResolvedRefs        ?RateLimited      -RateLimited ~          +Ready                  blog*       stays stays waits
rejected             +Accepted             +ResolvedRefs        -Rejected         -Rejected !             -Rejected !             blog*       stays stays waits
still rejected       +Accepted             +ResolvedRefs        -Rejected         -Rejected !             -Rejected !             blog* lang  stays stays waits
released             ?Pending              ?Pending             ?Pending          ?Pending ~              ?Pending ~                          goes  goes
displaced            ?Pending              ?Pending             ?Pending          ?Pending ~              ?Pending ~              blog* lang  stays goes
";

const HEAD: [&str; 10] = ["outcome", "Accepted", "ResolvedRefs", "Synced", "Ready", "Ready before", "lines", "goes", "lost", "waits"];

fn line(cells: [&str; 10]) -> String {
    let widths = [21, 22, 21, 18, 24, 24, 12, 6, 6, 0];
    let padded: Vec<String> = cells.into_iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", padded.concat().trim_end())
}

/// Every outcome for this object. The name of each comes from a match that lacks none.
fn outcomes(object: &Declared) -> Vec<Outcome> {
    let text = || "because".to_owned();
    let role = if object.deleting { Role::Leaver } else { Role::Owner };
    let found = if object.deleting { live(&[("blog", "x")]) } else { live(&[]) };
    let planned = |write: WriteOutcome| part(object, role, &found, write);
    let nothing = part(object, role, &if object.deleting { live(&[]) } else { live(&[("blog", "x")]) }, WriteOutcome::Nothing);
    let ours = || obstacle(ObstacleReason::ApplyFailed, false);
    let tenants = || obstacle(ObstacleReason::RateLimited, true);
    vec![
        Outcome::Invalid(Refusal { field: "spec".to_owned(), problem: "is wrong".to_owned() }),
        Outcome::TenantNotFound { meant: None },
        Outcome::TenantNotReady(text()),
        Outcome::NotPermitted(text()),
        Outcome::ConnectionNotFound { id: None, meant: None },
        Outcome::ConnectionNotFound { id: Some(HERE.into()), meant: None },
        Outcome::Unread(ours()),
        Outcome::Unread(tenants()),
        Outcome::Refused { reason: UnfitReason::UnsupportedStrategy, message: text() },
        Outcome::Refused { reason: UnfitReason::ReservedParam, message: text() },
        nothing,
        planned(WriteOutcome::Written),
        planned(WriteOutcome::Failed(ours())),
        planned(WriteOutcome::Failed(tenants())),
        planned(WriteOutcome::Postponed(obstacle(ObstacleReason::Pending, false))),
        planned(WriteOutcome::Postponed(tenants())),
        planned(WriteOutcome::Rejected(text())),
        Outcome::StillRejected { message: text(), warnings: Vec::new() },
        Outcome::Released(text()),
        Outcome::Displaced,
    ]
}

fn name(outcome: &Outcome) -> &'static str {
    let of = |obstacle: &Obstacle, tenants: &'static str, ours: &'static str| if obstacle.tenant_wide { tenants } else { ours };
    match outcome {
        Outcome::Invalid(_) => "invalid",
        Outcome::TenantNotFound { .. } => "no tenant",
        Outcome::TenantNotReady(_) => "tenant not ready",
        Outcome::NotPermitted(_) => "not permitted",
        Outcome::ConnectionNotFound { id: None, .. } => "no connection",
        Outcome::ConnectionNotFound { id: Some(_), .. } => "connection gone",
        Outcome::Unread(obstacle) => of(obstacle, "unread, tenant's", "unread, ours"),
        Outcome::Refused { .. } => "refused",
        Outcome::StillRejected { .. } => "still rejected",
        Outcome::Released(_) => "released",
        Outcome::Displaced => "displaced",
        Outcome::Planned(planned) => match &planned.write {
            WriteOutcome::Nothing => "nothing to write",
            WriteOutcome::Written => "written",
            WriteOutcome::Failed(obstacle) => of(obstacle, "failed, tenant's", "failed, ours"),
            WriteOutcome::Postponed(obstacle) => of(obstacle, "postponed, tenant's", "postponed, ours"),
            WriteOutcome::Rejected(_) => "rejected",
        },
    }
}

fn cell(object: &Declared, kind: ConditionType) -> String {
    let condition = condition(&object.status.conditions, kind).unwrap();
    let sign = match condition.status.as_str() {
        "True" => '+',
        "False" => '-',
        _ => '?',
    };
    format!("{sign}{}", condition.reason)
}

fn ready(object: &Declared) -> String {
    let progress = object.status.conditions.get(4).map(|extra| match (extra.type_.as_str(), extra.reason.as_str()) {
        ("Stalled", _) => " !",
        (_, "Progressing") => " >",
        _ => " ~",
    });
    format!("{}{}", cell(object, ConditionType::Ready), progress.unwrap_or_default())
}

fn lines(object: &Declared) -> String {
    let params = object.status.connections.iter().flat_map(|entry| &entry.params);
    let lines: Vec<String> = params.map(|param| format!("{}{}", param.name, if param.owned.is_empty() { "" } else { "*" })).collect();
    lines.join(" ")
}

fn goes(object: &Declared, outcome: &Outcome) -> &'static str {
    match conclude(object, outcome, &context()).finalizer {
        Finalizer::Remove => "goes",
        Finalizer::Keep => "stays",
        Finalizer::Add => "is set",
    }
}

fn waits(object: &Declared, outcome: &Outcome) -> &'static str {
    let ready = condition(&conclude(object, outcome, &context()).status.conditions, ConditionType::Ready).unwrap().message.clone();
    if ready.contains("can't be removed yet") { "waits" } else { "" }
}

#[test]
fn all_that_follows_from_every_outcome() {
    let new = object("a").wants("blog", "x");
    let known = in_sync().lists("lang", ExistingValue, &[]);
    let (dying, lost) = (known.clone().dying(), new.clone().dying());
    let all = outcomes(&new).into_iter().zip(outcomes(&known)).zip(outcomes(&dying)).zip(outcomes(&lost));
    let mut said = format!("\n{}", line(HEAD));
    for (((of_new, of_known), of_dying), of_lost) in all {
        let (first, later) = (after(&new, &of_new, &context()), after(&known, &of_known, &context()));
        let conditions = [ConditionType::Accepted, ConditionType::ResolvedRefs, ConditionType::Synced].map(|kind| cell(&first, kind));
        let [accepted, resolved, synced] = conditions;
        let (ready, was, lines) = (ready(&first), ready(&later), lines(&later));
        let (goes, lost, waits) = (goes(&dying, &of_dying), goes(&lost, &of_lost), waits(&dying, &of_dying));
        said.push_str(&line([name(&of_new), &accepted, &resolved, &synced, &ready, &was, &lines, goes, lost, waits]));
    }
    assert_eq!(said, TABLE, "{said}");
}
