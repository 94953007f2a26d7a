//! What holds of every plan.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::api::upstream_params::ParamState;
use crate::tests::builders::{here, live, object};
use crate::tests::seeds;

const NAMES: [&str; 3] = ["blog", "lang", "hint"];
const VALUES: [&str; 3] = ["v1", "v2", "v3"];
const STATES: [ParamState; 4] = [ParamState::InSync, ParamState::Pending, ParamState::Conflicted, ParamState::Removing];
const ROLES: [Role; 7] = [Role::Owner, Role::Observer, Role::Leaver, Role::Mover, Role::Holder, Role::Rejected, Role::Bystander];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(VALUES.to_vec())
}

/// An object with a role: what it declares, what it has a record of, whether it overwrites, its age.
fn participant() -> impl Strategy<Value = (Declared, Role)> {
    let records = btree_map(name(), (value(), prop::sample::select(STATES.to_vec())), 0..3);
    (btree_map(name(), value(), 1..4), records, any::<bool>(), 0..2_i64, prop::sample::select(ROLES.to_vec())).prop_map(
        |(wants, records, overwrites, born, role)| {
            let mut one = wants.into_iter().fold(object("a").born(born), |object, (name, value)| object.wants(name, value));
            one = records.into_iter().fold(one, |object, (name, (value, state))| object.lists(name, state, &[value]));
            (if overwrites { one.overwriting() } else { one }, role)
        },
    )
}

#[test]
fn the_order_of_the_objects_does_not_change_the_plan() {
    seeds::hold(500, &(vec(participant(), 1..4), btree_map(name(), value(), 0..3)), |(drawn, found)| {
        let named: Vec<(Declared, Role)> = drawn
            .into_iter()
            .zip(["a", "b", "c"])
            .map(|((mut object, role), name)| {
                (object.uid, object.key.name) = (format!("uid-{name}").into(), name.to_owned());
                (object, role)
            })
            .collect();
        let found = live(&found.into_iter().collect::<Vec<_>>());
        let disputes = BTreeMap::new();
        let state = || ConnectionState { connection_ref: here(), live: &found, disputes: &disputes, unsettled: false };
        let mut participants: Vec<Participant<'_>> = named.iter().map(|(object, role)| Participant { object, role: *role }).collect();
        let forwards = plan(state(), &participants, false);
        participants.reverse();
        prop_assert_eq!(forwards, plan(state(), &participants, false));
        Ok(())
    });
}
