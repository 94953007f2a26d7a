//! Some laws have several halves: each can be broken.

use super::*;

/// The law of one writer has several halves: each can be broken.
#[test]
fn whoever_writes_holds_the_lease_and_nobody_takes_it_or_gives_it_back_too_early() {
    let is_broken = |violations: &[Violation]| violations.iter().any(|violation| violation.law == Law::Alone);
    for (holder, processes, broken) in
        [(Some(0), &[0][..], false), (None, &[0], true), (Some(1), &[0], true), (Some(0), &[0, 1], true), (Some(0), &[0, 0], true)]
    {
        assert_eq!(is_broken(&written_by(holder, processes)), broken, "{holder:?}, {processes:?}");
    }
    // In seconds after it was written: a write that may last for ten has to end before the Lease.
    for (passed, broken) in [(9, false), (11, true)] {
        let late = in_a_world_for(
            Duration::from_secs(passed),
            |world| write_lease(world, 0, "first"),
            |world| {
                read(world, 0);
                patch(world, 0, AS_READ);
            },
        );
        assert_eq!(is_broken(&late), broken, "written after {passed} s");
    }
    // A process that was asleep is as late, also where no time passed for others.
    for (asleep, broken) in [(9, false), (11, true)] {
        let late = in_a_world(|world| {
            write_lease(world, 0, "first");
            world.process_slept(ProcessId(0), Duration::from_secs(asleep));
            world.process_slept(ProcessId(1), Duration::from_mins(1));
            read(world, 0);
            patch(world, 0, AS_READ);
        });
        assert_eq!(is_broken(&late), broken, "written after {asleep} s of sleep");
    }
    for (passed, broken) in [(19, true), (20, false)] {
        let taken =
            in_a_world_for(Duration::from_secs(passed), |world| write_lease(world, 0, "first"), |world| write_lease(world, 1, "second"));
        assert_eq!(is_broken(&taken), broken, "taken after {passed} s");
    }
    for (under_way, broken) in [(true, true), (false, false)] {
        let given_back = in_a_world(|world| {
            write_lease(world, 0, "first");
            if under_way {
                patch(world, 0, AS_READ);
            }
            write_lease(world, 0, "");
            write_lease(world, 1, "second");
        });
        assert_eq!(is_broken(&given_back), broken, "given back while something is under way: {under_way}");
    }
}

/// Only who can't know that there was a holder takes a Lease at once that somebody deleted.
#[test]
fn a_lease_that_was_deleted_is_taken_at_once_by_who_finds_no_work_of_an_operator_and_by_nobody_else() {
    for (worked, before, broken) in [(false, true, false), (true, true, true), (true, false, false)] {
        let taken = in_a_world(|world| {
            let declaration = crate::declare::Declaration {
                tenant: 0,
                connection: crate::declare::Named::ByName(0),
                params: vec![(0, 0)],
                observe: false,
                overwrite: false,
                retain: false,
                broken: false,
            };
            let work = || {
                if worked {
                    world.happen(&Action::Forge(0, crate::action::Forgery::Ready));
                }
            };
            world.happen(&Action::Declare(0, declaration));
            if before {
                work();
            }
            world.note_work(ProcessId(1));
            if !before {
                work();
            }
            write_lease(world, 0, "first");
            world.happen(&Action::DeleteLease);
            write_lease(world, 1, "second");
        });
        let is_broken = taken.iter().any(|violation| violation.law == Law::Alone);
        assert_eq!(is_broken, broken, "an operator worked: {worked}, before the process began: {before}");
    }
}

/// What is refused is sent again at a pace.
#[test]
fn a_write_that_the_api_server_refuses_is_not_sent_again_at_once_for_ever() {
    let sent = |times: usize| {
        in_a_world(|world| {
            world.happen(&Action::RefuseWrites(Duration::from_secs(5)));
            for _ in 0..times {
                let path = "/apis/upstreamparams.dev/v1alpha1/namespaces/team-a/upstreamparams/one/status".to_owned();
                let mut request = Request { server: Server::Kubernetes, path, host: String::new(), ..request(world, 0, "PUT", "{}") };
                assert_eq!(world.fate(&mut request).ending, Ending::Refused(500));
            }
        })
    };
    for (times, broken) in [(30, false), (31, true)] {
        assert_eq!(sent(times).iter().any(|violation| violation.law == Law::Patient), broken, "{times}");
    }
}

/// Who is told that Auth0 refuses his parameters has had a write of his own refused, for them.
#[test]
fn a_refusal_is_told_to_whoever_it_is_about_and_to_nobody_else() {
    let told = |changed: &[&str], lists: &[&str], answer: &'static str| {
        in_a_world(|world| {
            let request = Request { number: 1, ..request(world, 0, "PATCH", "") };
            let changed = changed.iter().map(|name| ((*name).to_owned(), Some(V1.to_owned()))).collect();
            let (old, mut sent) = (claiming(V1), claiming(V1));
            sent["status"]["conditions"][3]["reason"] = json!("Rejected");
            let [old, sent] = [old, sent].map(|object| serde_json::from_value::<Object>(object).unwrap());
            let lists = lists.iter().map(|name| (*name).to_owned()).collect();
            let then = write::Concerned { uid: old.metadata.uid.clone(), generation: old.metadata.generation, lists };
            world.look_at_answers(&request, &document(r#""options":{}"#), (changed, Vec::new()), vec![then]);
            world.is_answered(&request, 400, answer.as_bytes());
            world.look_at_rejection(&request, &old, &sent);
        })
    };
    let (whole, entry) = (
        r#"{"message":"'Too many properties' on property options.upstream_params (Options)."}"#,
        r#"{"message":"'No match' on property options.upstream_params.blog.value."}"#,
    );
    for (changed, lists, answer, broken) in [
        (&["blog"][..], &[][..], whole, false),
        (&["blog"], &[], entry, false),
        (&["blog", "lang"], &[], whole, true),
        (&["blog", "lang"], &["lang"], whole, false),
        (&["lang"], &[], whole, true),
        (&["blog"], &[], r#"{"message":"'No match' on property options.upstream_params.theirs."}"#, true),
        (&["blog"], &[], r#"{"message":"'No match' on property options.icon_url (The icon)."}"#, true),
        (&["blog"], &[], "", true),
    ] {
        assert_eq!(
            told(changed, lists, answer).iter().any(|violation| violation.law == Law::Heard),
            broken,
            "{changed:?}, {lists:?}, {answer}"
        );
    }
}

/// What a process may not have been shown yet permits it something, and forbids it nothing.
#[test]
fn a_label_that_may_not_be_known_forbids_nothing() {
    let another = in_namespace(named(declaring(V1, &[]), "two"), "team-b");
    let removed = |teams: &[&str]| written_where(teams, &[deleted(claiming(V1)), another.clone()], &options(V1), r#"{"options":{}}"#);
    let set = |teams: &[&str]| written_where(teams, &[in_namespace(claiming(V1), "team-b")], r#""options":{}"#, &setting(V1));
    for (teams, declared, permitted) in
        [(&["a"][..], true, true), (&["b", "a"], false, true), (&["a", "b"], false, true), (&["b"], false, false)]
    {
        assert_eq!(removed(teams).iter().any(|violation| violation.text.contains("somebody declares it")), declared, "{teams:?}");
        assert_eq!(set(teams).is_empty(), permitted, "{teams:?}");
    }
}

/// Whoever is in a namespace that its process may not have been shown loses nothing by that.
#[test]
fn a_namespace_that_may_not_be_known_takes_nothing_from_whoever_is_in_it() {
    let owner = in_namespace(claiming(V1), "team-b");
    let other = named(claiming(V2), "two");
    for (teams, keeps) in [
        (&[None, Some("a")][..], true),
        (&[Some("a"), None], true),
        (&[Some("a")], true),
        (&[Some("b"), None], false),
        (&[None, Some("b")], false),
    ] {
        let mut violations = Vec::new();
        write::check(&scene(teams, &[owner.clone(), other.clone()]), &document(&options(V1)), &setting(V2), &mut violations);
        assert_eq!(violations.iter().any(|violation| violation.text.contains("it is another's")), keeps, "{teams:?}: {violations:?}");
        for (unseen, is_bound) in [(write::Unseen::Keeps, keeps), (write::Unseen::Nothing, keeps && !teams.contains(&None))] {
            let (old, is) = (serde_json::from_value::<Object>(owner.clone()).unwrap(), document(&options(V1)));
            let looked = kept::Looked { is: &is, shown: Some(&is) };
            let mut violations = Vec::new();
            kept::check(
                (&scene(teams, std::slice::from_ref(&owner)), |_: &Object| false),
                (&old, unseen),
                kept::After::Gone,
                looked,
                &mut violations,
            );
            assert_eq!(violations.iter().any(|violation| violation.law == Law::NothingLeft), is_bound, "{teams:?}, {unseen:?}");
        }
    }
}

/// Of what somebody takes out of a status, or along with its object, a process knows nothing before it is shown that; of what it takes
/// out itself it does.
#[test]
fn a_record_that_another_may_still_be_taken_to_have_keeps_a_value() {
    let owner: Object = serde_json::from_value(claiming(V1)).unwrap();
    let (has, had_not, gone) = (named(claiming(V1), "two"), named(declaring(V1, &[]), "two"), json!({}));
    let is = document(&options(V1));
    let looked = kept::Looked { is: &is, shown: Some(&is) };
    for (versions, is_forged, is_kept) in [
        (vec![has.clone(), had_not.clone()], true, true),
        (vec![has.clone(), had_not.clone()], false, false),
        (vec![had_not.clone(), has.clone()], false, true),
        (vec![has.clone(), gone.clone()], false, true),
        (vec![had_not.clone(), gone], false, false),
        (vec![has], false, true),
        (vec![had_not], true, false),
    ] {
        let mut scene = scene(&[Some("a")], &[claiming(V1)]);
        let versions: Vec<Arc<Object>> = versions.into_iter().map(|object| Arc::new(serde_json::from_value(object).unwrap())).collect();
        scene.objects.insert(versions[0].metadata.uid.clone(), versions);
        let mut violations = Vec::new();
        let (whose, bound) = ((&scene, |_: &Object| is_forged), (&owner, write::Unseen::Keeps));
        kept::check(whose, bound, kept::After::Gone, looked, &mut violations);
        assert_eq!(violations.is_empty(), is_kept, "{violations:?}");
    }
}

/// Whoever takes a parameter over is told so once nobody who had it records it any more.
#[test]
fn nobody_is_told_to_have_what_another_has_yet() {
    let param = |mut object: Value, state: &str, applied: bool| {
        object["status"]["connections"][0]["params"][0]["state"] = json!(state);
        object["status"]["connections"][0]["params"][0]["applied"] = json!(applied);
        object
    };
    let two = || named(claiming(V1), "two");
    for (other, state, broken) in [
        (param(two(), "InSync", false), "InSync", true),
        (param(two(), "Removing", true), "InSync", true),
        // Who writes a value is told so right after.
        (param(two(), "InSync", false), "Applied", false),
        (param(two(), "InSync", false), "Pending", false),
        // What was only claimed, and never was there, is nobody's.
        (param(two(), "Pending", false), "InSync", false),
        // It had another value.
        (param(named(claiming(V2), "two"), "InSync", false), "InSync", false),
    ] {
        let scene = scene(&[Some("a")], &[claiming(V1), other.clone()]);
        let is_broken = |policy: &str| {
            let [old, sent] = [claiming(V1), param(claiming(V1), state, false)].map(|mut object| {
                object["spec"]["managementPolicy"] = json!(policy);
                serde_json::from_value::<Object>(object).unwrap()
            });
            let mut violations = Vec::new();
            said::check_arrivals(&scene, said::Told { old: &old, sent: &sent }, &document(&options(V1)), &mut violations);
            violations.iter().any(|violation| violation.law == Law::OneOwner)
        };
        // One that only observes is told what is there.
        assert_eq!((is_broken("Enforce"), is_broken("Observe")), (broken, false), "{state}, {other}");
    }
}

/// A document grows old in sleep, too.
#[test]
fn nothing_is_written_from_a_document_that_is_old() {
    for (asleep, broken) in [(1_900, false), (2_100, true)] {
        let written = in_a_world(|world| {
            world.process_slept(ProcessId(0), Duration::from_millis(asleep));
            patch(world, 0, AS_READ);
        });
        assert_eq!(written.iter().any(|violation| violation.law == Law::Fresh), broken, "after {asleep} ms of sleep");
    }
}

/// The other options keep their order, wherever the parameters stand.
#[test]
fn what_is_foreign_has_an_order() {
    let foreign = |options: &str| seen::split_options(options).0;
    let as_read = foreign(r#"{"b":1,"upstream_params":{},"a":2}"#);
    assert_eq!(foreign(r#"{"b":1,"a":2,"upstream_params":{"blog":1}}"#), as_read);
    assert_ne!(foreign(r#"{"a":2,"b":1}"#), as_read);
}

/// No token is shown, of which no part is marked.
#[test]
fn a_token_is_a_secret() {
    for (text, broken) in [(format!("Bearer {TOKEN}JSUzI1NiJ9.x"), true), ("Bearer".to_owned(), false)] {
        let told = in_a_world(|world| world.logged(Level::INFO, &text));
        assert_eq!(told.iter().any(|violation| violation.law == Law::Secret), broken, "{text}");
    }
}
