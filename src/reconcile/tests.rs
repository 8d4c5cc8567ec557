use super::*;

/// The steps for one file of `class` at `f` that was proposed as `before`, is on disk as `disk` and proposed as `now`.
fn told(class: Class, before: Option<&str>, disk: Option<&str>, now: Option<&str>, allowed: Allowed) -> Option<Step> {
    let mut lock = Lock::new("shop");
    if let Some(before) = before {
        let emitted = Hash::of(before.as_bytes());
        let base = matches!(class, Class::Seed | Class::Append).then(|| emitted.clone());
        let locked = LockedFile {
            class,
            symbol: "s".into(),
            emitted,
            meaning: None,
            base,
            parts: Vec::new(),
            released: Vec::new(),
            declined: false,
        };
        lock.files.insert("f".into(), locked);
    }
    let file = now.map(|now| File { path: "f".into(), class, symbol: "s".into(), contents: now.into() });
    let proposal = Proposal {
        files: file.into_iter().collect(),
        tables: Default::default(),
        names: Default::default(),
        versions: BTreeMap::new(),
        protos: Vec::new(),
        history: Default::default(),
    };
    let reads = |path: &str| {
        let base = before.filter(|it| path == Hash::of(it.as_bytes()).base_path());
        Ok(if path == "f" { disk } else { base }.map(|it| it.as_bytes().to_vec()))
    };
    let past = Past {
        lock: Some(&lock),
        renaming: &Renaming::default(),
        allowed,
        restored: &[],
        has_crlf: false,
        others: &BTreeSet::new(),
        disk: &reads,
    };
    steps(&proposal, &past).expect("everything can be read").into_iter().next()
}

#[test]
fn the_ownership_table_holds() {
    use Action::*;
    use Class::*;
    let (a, b, c) = (Some("a\n"), Some("b\n"), Some("c\n"));
    for (class, before, disk, now, expected) in [
        (Generated, None, None, a, Some(Create)),
        (Generated, a, a, a, Some(Keep)),
        (Generated, a, Some("a\r\n"), a, Some(Replace)),
        (Generated, a, a, b, Some(Replace)),
        (Generated, a, Some("a\r\n"), b, Some(Replace)),
        (Generated, a, Some("b  \n"), b, Some(Replace)),
        (Generated, a, c, b, Some(Edited)),
        (Generated, None, c, b, Some(Edited)),
        (Generated, a, b, b, Some(Keep)),
        (Generated, a, a, None, Some(Remove)),
        (Generated, a, c, None, Some(Orphan)),
        (Generated, a, Some("<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n"), b, Some(Replace)),
        (Seed, None, None, a, Some(Create)),
        (Seed, a, None, a, Some(Decline)),
        (Seed, a, None, b, Some(Decline)),
        (Generated, a, None, b, Some(Create)),
        (Seed, a, a, b, Some(Replace)),
        (Seed, a, c, a, Some(LeaveChanged)),
        (Seed, a, c, b, Some(SetAside)),
        (Seed, None, c, b, Some(SetAside)),
        (Seed, a, a, None, Some(Remove)),
        (Seed, a, c, None, Some(Orphan)),
        (Seed, a, None, None, None),
        (Append, a, c, b, Some(LeaveChanged)),
        (Append, a, a, None, Some(Keep)),
        (Append, a, None, None, Some(Create)),
        (Append, a, c, None, Some(LeaveChanged)),
    ] {
        let actual = told(class, before, disk, now, Allowed::default()).map(|it| it.action);
        assert_eq!(actual, expected, "{class}: before {before:?}, on disk {disk:?}, now {now:?}");
    }
}

#[test]
fn what_is_left_alone_keeps_its_bytes() {
    for (disk, now) in [("c\n", "b\n"), ("a\nmine\n", "b\na\n"), ("c\n", "a\n")] {
        let step = told(Class::Seed, Some("a\n"), Some(disk), Some(now), Allowed::default()).expect("a step");
        assert_eq!(step.after.as_deref(), Some(disk.as_bytes()), "{step:?}");
        assert!(!step.writes());
    }
}

const BASE: &str = "one\ntwo\nthree\nfour\n";

#[test]
fn merging_takes_both_sides_where_they_do_not_touch() {
    let (mine, now) = ("ONE\ntwo\nthree\nfour\n", "one\ntwo\nthree\nFOUR\n");
    let merging = Allowed { merge: true, ..Allowed::default() };
    let step = told(Class::Seed, Some(BASE), Some(mine), Some(now), merging).expect("a step");
    assert_eq!((step.action, step.after.as_deref()), (Action::Merge, Some(&b"ONE\ntwo\nthree\nFOUR\n"[..])));
    let aside = told(Class::Seed, Some(BASE), Some(mine), Some(now), Allowed::default()).expect("a step");
    assert_eq!((aside.action, aside.proposed.as_deref()), (Action::SetAside, Some(now.as_bytes())));
}

#[test]
fn what_the_user_took_over_by_hand_is_not_asked_for_again() {
    let mine = "mine\none\ntwo\nthree\nFOUR\n";
    let step = told(Class::Seed, Some(BASE), Some(mine), Some("one\ntwo\nthree\nFOUR\n"), Allowed::default());
    assert_eq!(step.expect("a step").action, Action::LeaveChanged);
}

#[test]
fn a_conflict_leaves_the_file_unless_markers_are_asked_for() {
    let (mine, now) = ("ONE\ntwo\nthree\nfour\n", "Eins\ntwo\nthree\nfour\n");
    let merging = Allowed { merge: true, ..Allowed::default() };
    let step = told(Class::Seed, Some(BASE), Some(mine), Some(now), merging).expect("a step");
    assert_eq!((step.action, step.writes()), (Action::SetAside, false));
    let marking = Allowed { markers: true, ..merging };
    let step = told(Class::Seed, Some(BASE), Some(mine), Some(now), marking).expect("a step");
    assert_eq!(step.action, Action::Mark);
    assert!(has_conflict_markers(step.after.as_deref().unwrap_or_default()));
    let marked = String::from_utf8(step.after.unwrap_or_default()).expect("text");
    let left = told(Class::Seed, Some(now), Some(&marked), Some(now), Allowed::default()).expect("a step");
    assert_eq!(left.action, Action::Mark, "as long as the markers are there a person is needed");
}

#[test]
fn force_and_prune_do_what_they_are_for() {
    let force = Allowed { force: true, ..Allowed::default() };
    let prune = Allowed { prune: true, ..Allowed::default() };
    let step = told(Class::Generated, Some("a"), Some("c"), Some("b"), force).expect("a step");
    assert_eq!((step.action, step.after.as_deref()), (Action::Overwrite, Some(&b"b"[..])));
    let step = told(Class::Append, Some("a"), Some("c"), None, force).expect("a step");
    assert_eq!((step.action, step.after.as_deref()), (Action::Overwrite, Some(&b"a"[..])));
    let step = told(Class::Seed, Some("a"), Some("c"), None, prune).expect("a step");
    assert_eq!((step.action, step.after), (Action::Remove, None));
}

#[test]
fn a_seed_saved_with_crlf_keeps_it() {
    let step = told(Class::Seed, Some("a\nb\n"), Some("a\r\nb\r\n"), Some("a\nc\n"), Allowed::default());
    let step = step.expect("a step");
    assert_eq!((step.action, step.after.as_deref()), (Action::Replace, Some(&b"a\r\nc\r\n"[..])));
}
