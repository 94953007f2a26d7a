//! The plan as text: one line for each name that it changes, in the order of the names.
//!
//! Guarantees: the same plan gives the same text; [`Plan`]'s `Display` holds no value of any parameter, so it may go into
//! a log; only [`Plan::with_values`] shows them, and never one that this operator could not have set itself.

use std::fmt;

use super::{Change, Effect, Plan, Verdict};
use crate::model::document::{Entry, Live};
use crate::model::identity::{ObjectKey, Uid};

/// When a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In this pass.
    Now,
    /// In a later pass: it is another object's turn, or its claim was not stored.
    Later,
    /// Never, as the object that declares it only observes.
    Never,
}

/// What a plan does to one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The name of the parameter.
    pub name: &'a str,
    /// What is done to it.
    pub effect: Effect,
    /// What is live.
    pub from: Option<&'a Live>,
    /// What is set.
    pub to: Option<&'a Entry>,
    /// The object for which it is done.
    pub by: Option<&'a ObjectKey>,
    /// The other objects whose record of the name it touches.
    pub others: Vec<&'a ObjectKey>,
    /// Whether somebody else changed the name, which was in sync before.
    pub drift: bool,
    /// Whether it replaces a value that somebody else had set first.
    pub overwrites: bool,
    /// When it is done.
    pub when: When,
}

impl Plan {
    /// What it does, line by line: what is changed now, what is taken over, what is left to a later pass, and what
    /// observers would change.
    pub fn lines(&self) -> Vec<Line<'_>> {
        let now = self.changes.iter().map(|(name, change)| self.line((name, change), When::Now));
        let adopted = self.adopted.iter().map(|(name, adopter)| self.adoption(name, adopter));
        let later = self.deferred.iter().map(|(name, change)| self.line((name, change), When::Later));
        let never = self.would.iter().map(|((name, _), change)| self.line((name, change), When::Never));
        now.chain(adopted).chain(later).chain(never).collect()
    }

    /// The names of the lines of this pass for which this holds.
    pub fn names(&self, test: impl Fn(&Line<'_>) -> bool) -> Vec<&str> {
        self.lines().into_iter().filter(|line| line.when == When::Now && test(line)).map(|line| line.name).collect()
    }

    /// The plan as text, with the values of the parameters.
    pub fn with_values(&self) -> impl fmt::Display + '_ {
        Shown { plan: self, values: true }
    }

    fn line<'a>(&'a self, (name, change): (&'a String, &'a Change), when: When) -> Line<'a> {
        let taken_over =
            self.objects.get(&change.actor).and_then(|params| params.get(name)).is_some_and(|param| param.verdict == Verdict::InSync);
        Line {
            name,
            effect: if taken_over { Effect::Adopts } else { change.effect() },
            from: change.from.as_ref(),
            to: change.entry.as_ref(),
            by: self.keys.get(&change.actor),
            others: change.others.iter().filter_map(|uid| self.keys.get(uid)).collect(),
            drift: change.drift,
            overwrites: self.overwritten.contains(name),
            when,
        }
    }

    fn adoption<'a>(&'a self, name: &'a str, adopter: &Uid) -> Line<'a> {
        let loses = |uid: &&Uid| *uid != adopter && self.has_record_taken(name, uid);
        let others = self.keys.iter().filter(|(uid, _)| loses(uid)).map(|(_, key)| key).collect();
        let by = self.keys.get(adopter);
        Line { name, effect: Effect::Adopts, from: None, to: None, by, others, drift: false, overwrites: false, when: When::Now }
    }

    fn has_record_taken(&self, name: &str, uid: &Uid) -> bool {
        let hands = self.objects.get(uid).and_then(|params| params.get(name)).is_some_and(|param| param.verdict == Verdict::Handed);
        hands || self.lost.get(uid).is_some_and(|names| names.contains(name))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown { plan: self, values: false }.fmt(f)
    }
}

struct Shown<'a> {
    plan: &'a Plan,
    values: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.plan.lines();
        if lines.is_empty() {
            return f.write_str("nothing to do");
        }
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            line.show(f, self.values)?;
        }
        Ok(())
    }
}

impl Line<'_> {
    fn show(&self, f: &mut fmt::Formatter<'_>, values: bool) -> fmt::Result {
        f.write_str(if self.when == When::Never { "would " } else { "" })?;
        f.write_str(match self.effect {
            Effect::Adds => "add ",
            Effect::Changes if self.drift => "set back ",
            Effect::Changes => "change ",
            Effect::Removes => "remove ",
            Effect::Adopts => "take over ",
        })?;
        f.write_str(self.name)?;
        if values {
            self.show_values(f)?;
        }
        self.show_objects(f)?;
        f.write_str(match (self.effect, self.drift, self.overwrites) {
            (Effect::Adds, true, _) => ", which somebody else removed",
            (Effect::Changes, true, _) => ", which somebody else changed",
            (_, _, true) => ", which somebody else had set",
            (Effect::Adds | Effect::Changes | Effect::Removes | Effect::Adopts, _, false) => "",
        })?;
        f.write_str(if self.when == When::Later { ", later" } else { "" })
    }

    fn show_values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = |live: &Live| match live {
            Live::Entry(entry) => entry.canonical(),
            Live::Foreign => "what is no upstream parameter".to_owned(),
        };
        match (self.from, self.to) {
            (Some(from), Some(to)) => write!(f, " from {} to {}", live(from), to.canonical()),
            (Some(from), None) => write!(f, " {}", live(from)),
            (None, Some(to)) => write!(f, " {}", to.canonical()),
            (None, None) => Ok(()),
        }
    }

    fn show_objects(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |keys: &[&ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let by: Vec<&ObjectKey> = self.by.into_iter().collect();
        match self.effect {
            Effect::Removes => write!(f, " for {}", listed(&[by, self.others.clone()].concat())),
            Effect::Adds | Effect::Changes | Effect::Adopts => {
                write!(f, " for {}", listed(&by))?;
                if self.others.is_empty() { Ok(()) } else { write!(f, ", from {}", listed(&self.others)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::api::upstream_params::ParamState::InSync;
    use crate::core::pass::claims::ConnectionRef;
    use crate::core::pass::plan::{ConnectionState, Participant, Role, plan};
    use crate::core::world::Declared;
    use crate::tests::builders::{HERE, TENANT, live, object};

    fn planned(found: &[(&str, &str)], parts: &[(&Declared, Role)]) -> Plan {
        let participants: Vec<Participant<'_>> = parts.iter().map(|(object, role)| Participant { object, role: *role }).collect();
        let (live, connection_ref) = (live(found), ConnectionRef { tenant: &TENANT, connection: &HERE.into() });
        plan(ConnectionState { connection_ref, live: &live, disputes: &BTreeMap::new(), unsettled: false }, &participants, false)
    }

    #[test]
    fn every_kind_of_change_is_a_line_in_the_order_of_the_names() {
        let a = object("a").wants("added", "1").wants("changed", "new").lists("changed", InSync, &["old"]).lists("dropped", InSync, &["x"]);
        let a = a.wants("fixed", "1").lists("fixed", InSync, &["1"]).wants("lost", "1").lists("lost", InSync, &["1"]);
        let b = object("b").of("shop").wants("theirs", "1").overwriting();
        let live = [("changed", "old"), ("dropped", "x"), ("fixed", "2"), ("theirs", "2")];
        let plan = planned(&live, &[(&a, Role::Owner), (&b, Role::Owner)]);
        assert_eq!(
            plan.to_string(),
            "add added for team/a\n\
             change changed for team/a\n\
             remove dropped for team/a\n\
             set back fixed for team/a, which somebody else changed\n\
             add lost for team/a, which somebody else removed\n\
             change theirs for shop/b, which somebody else had set"
        );
        assert_eq!(
            plan.with_values().to_string(),
            r#"add added {"value":"1"} for team/a
change changed from {"value":"old"} to {"value":"new"} for team/a
remove dropped {"value":"x"} for team/a
set back fixed from {"value":"2"} to {"value":"1"} for team/a, which somebody else changed
add lost {"value":"1"} for team/a, which somebody else removed
change theirs from {"value":"2"} to {"value":"1"} for shop/b, which somebody else had set"#
        );
    }

    #[test]
    fn what_changes_hands_says_from_whom_and_what_two_give_up_is_one_line() {
        let giver = object("giver").lists("equal", InSync, &["x"]).lists("other", InSync, &["x"]).dying();
        let taker = object("taker").wants("equal", "x").wants("other", "y");
        let also = object("also").lists("gone", InSync, &["x"]).dying();
        let too = object("too").lists("gone", InSync, &["x"]).dying();
        let parts = [(&giver, Role::Leaver), (&taker, Role::Owner), (&also, Role::Leaver), (&too, Role::Leaver)];
        let plan = planned(&[("equal", "x"), ("other", "x"), ("gone", "x")], &parts);
        assert_eq!(
            plan.to_string(),
            "remove gone for team/also, team/too\n\
             change other for team/taker, from team/giver\n\
             take over equal for team/taker, from team/giver"
        );
    }

    #[test]
    fn what_is_left_to_a_later_pass_says_so() {
        let a = object("a").wants("blog", "x");
        let b = object("b").wants("lang", "de");
        let mut plan = planned(&[], &[(&a, Role::Owner), (&b, Role::Owner)]);
        plan.retain_actors(&BTreeSet::from([b.uid.clone()]));
        assert_eq!(plan.to_string(), "add lang for team/b\nadd blog for team/a, later");
        let giver = object("giver").lists("equal", InSync, &["x"]).dying();
        let taker = object("taker").wants("equal", "x");
        let mut plan = planned(&[("equal", "x")], &[(&giver, Role::Leaver), (&taker, Role::Owner)]);
        plan.retain_adopted(&BTreeSet::new());
        assert_eq!(plan.to_string(), "take over equal for team/taker, from team/giver, later");
    }

    #[test]
    fn an_observers_changes_are_those_that_would_be_made() {
        let a = object("a").observing().wants("added", "1").wants("changed", "new").lists("changed", InSync, &["old"]);
        let b = object("b").observing().lists("dropped", InSync, &["x"]);
        let plan = planned(&[("changed", "old"), ("dropped", "x")], &[(&a, Role::Observer), (&b, Role::Observer)]);
        assert!(plan.is_empty());
        assert_eq!(plan.to_string(), "would add added for team/a\nwould change changed for team/a\nwould remove dropped for team/b");
    }

    #[test]
    fn where_nothing_differs_there_is_nothing_to_do() {
        let a = object("a").wants("blog", "x").lists("blog", InSync, &["x"]);
        let plan = planned(&[("blog", "x")], &[(&a, Role::Owner)]);
        assert_eq!((plan.to_string().as_str(), plan.is_empty()), ("nothing to do", true));
    }
}
