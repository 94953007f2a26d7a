//! Faults in what is folded into the world, and by which watch.

use super::{Edit, Mutant, Room};

const WORLD: &str = "src/core/world/mod.rs";
const WATCH: &str = "src/kubernetes/watch.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "passes-begin-half-blind", room: Room::World,
        wrong: "passes begin when the first watch has listed, and what is not listed yet counts as gone",
        edits: &[Edit(WORLD,
            "Kind::ALL.iter().all(|kind| self.listed.contains(kind))",
            "Kind::ALL.iter().any(|kind| self.listed.contains(kind))")],
    },
    Mutant {
        name: "list-is-taken-before-it-is-complete", room: Room::World,
        wrong: "a list is folded as a whole with each of its objects, so that those to come count as gone",
        edits: &[Edit(WATCH,
            "            Event::InitApply(object) => all.push((folds.compact)(object)),\n",
            "            Event::InitApply(object) => {\n                \
                 let one = vec![(folds.compact)(object)];\n                \
                 self.hub.fold(|world| (folds.list)(world, one));\n            \
             }\n")],
    },
    Mutant {
        name: "new-list-keeps-what-is-gone", room: Room::World,
        wrong: "objects that are gone when a watch lists anew stay in the world",
        edits: &[Edit(WORLD,
            "let gone = known.into_iter().filter(|object| !present.contains(&object.key));",
            "let gone = known.into_iter().filter(|object| !present.contains(&object.key) && present.contains(&object.key));")],
    },
    Mutant {
        name: "new-list-keeps-tenants-that-are-gone", room: Room::World,
        wrong: "tenant objects that are gone when a watch lists anew stay in the world",
        edits: &[Edit(WORLD,
            "        self.tenants.retain(|name, _| present.contains(name));\n",
            "")],
    },
    Mutant {
        name: "new-list-does-not-go-back", room: Room::World,
        wrong: "a list with older versions, as after the restore of a store, changes nothing",
        edits: &[Edit(WORLD,
            "wakes.extend(if ours { self.apply_object(object) } else { self.take_object(object) });",
            "wakes.extend(if ours || !ours { self.apply_object(object) } else { self.take_object(object) });")],
    },
    Mutant {
        name: "list-overtakes-our-write", room: Room::World,
        wrong: "a list that is older than what we wrote meanwhile replaces it",
        edits: &[Edit(WORLD,
            "let ours = self.written.contains(&object.key);",
            "let ours = self.written.contains(&object.key) && false;")],
    },
    Mutant {
        name: "older-event-overtakes-our-write", room: Room::World,
        wrong: "an event that is older than what we wrote ourselves replaces it",
        edits: &[Edit(WORLD,
            "        let old = self.objects.get(&new.key);\n        if old.is_some_and(|old| old.uid == new.uid && is_older(&new.resource_version, &old.resource_version)) {",
            "        let old = self.objects.get(&new.key);\n        if old.is_some_and(|old| old.uid == new.uid && is_older(&new.resource_version, &old.resource_version)) && false {")],
    },
    Mutant {
        name: "deletion-is-not-seen", room: Room::World,
        wrong: "an object that is gone stays in the world",
        edits: &[Edit(WATCH,
            "            Event::Delete(object) => self.hub.fold(|world| (folds.delete)(world, object)),\n",
            "            Event::Delete(_) => {}\n")],
    },
    // That a deletion is heard of a namesake that is there already changes nothing anybody could see: in one watch it comes before the
    // other appears, and a list takes the one out itself.
    Mutant {
        name: "request-is-not-heard", room: Room::World,
        wrong: "a look that somebody asks for by the annotation never comes",
        edits: &[Edit(WORLD,
            ".then(|| Wake::Requested(new.key.clone()));",
            ".then(|| Wake::Requested(new.key.clone())).filter(|_| false);")],
    },
    Mutant {
        name: "watch-ends-for-good", room: Room::World,
        wrong: "a watch that can't be taken up again where it ended is not begun anew",
        edits: &[Edit(WATCH,
            "            if matches!(error, watcher::Error::WatchStartFailed(_)) {\n                break;",
            "            if matches!(error, watcher::Error::WatchStartFailed(_)) {\n                std::future::pending::<()>().await;\n                break;")],
    },
    Mutant {
        name: "labels-wake-nobody", room: Room::World,
        wrong: "objects are not looked at when the labels of their namespace change",
        edits: &[Edit(WORLD,
            "        let wakes = self.objects.in_namespace(&name).map(|object| wake(object.key.clone())).collect();\n",
            "        let wakes = self.objects.in_namespace(&name).take(0).map(|object| wake(object.key.clone())).collect();\n")],
    },
];
