//! The source is never changed, whatever lies in it and whatever is done with it.

use bkp_testkit::{Sidecar, cases};

use crate::sandbox::{Sandbox, tree};

#[test]
fn no_command_changes_the_source() {
    let sandbox = Sandbox::new();
    let wal = cases::plain_db().with(|spec| spec.sidecar = Sidecar::Wal { rows: 3 });
    let journal = cases::plain_db().with(|spec| spec.sidecar = Sidecar::HotJournal);
    for (name, spec) in [
        ("encrypted", cases::encrypted_db(1_000)),
        ("mbdb", cases::encrypted_mbdb()),
        ("wal", wal),
        ("journal", journal),
    ] {
        let truth = sandbox.bundle_at(name, &spec);
        let before = tree(&sandbox.path(name));
        let run = sandbox.run_unlocked(&["inspect", name, "--json"]);
        assert!(run.code == 0, "{name}: {}", run.stderr);
        let lines = sandbox.run_unlocked(&["ls", name, "--jsonl"]).exits(0).lines();
        assert_eq!(lines.len(), truth.counts.rows + 1, "{name}");
        sandbox.run_unlocked(&["cat", name, "HomeDomain:Library/Notes/note.txt"]).exits(0);
        sandbox.run_unlocked(&["find", name, "*.db", "--hash"]).exits(0);
        sandbox.run(&["list", name, "--size"]).exits(0);
        let out = format!("{name}-out");
        sandbox.run_unlocked(&["extract", name, "-o", &out]).exits(0);
        assert!(tree(&sandbox.path(name)) == before, "{name} was changed");
    }
}

#[test]
fn a_source_that_cannot_be_written_is_as_good() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db().with(|spec| spec.sidecar = Sidecar::Wal { rows: 3 }));
    let backup = sandbox.path("backup");
    let mode = |mode| std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(mode));
    mode(0o555).unwrap();
    sandbox.run(&["extract", "backup", "-o", "out"]).exits(0);
    mode(0o755).unwrap();
}
