//! `bkp cat`.

use bkp_testkit::{BundleSpec, Content, Encryption, EntrySpec, Node, Stored, cases};

use crate::inspect::damaged_class;
use crate::sandbox::Sandbox;

#[test]
fn the_bytes_are_those_of_the_device() {
    let sandbox = Sandbox::new();
    let content: Vec<u8> = (0..700_001u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let spec = BundleSpec::new(5).with(|spec| {
        spec.encryption = Some(Encryption::new(cases::PASSWORD));
        spec.entries = vec![
            EntrySpec::file("HomeDomain", "big", content.clone()),
            EntrySpec::file("HomeDomain", "a:b", "colon"),
            EntrySpec::file("HomeDomain", "empty", ""),
            EntrySpec::noise("HomeDomain", "block", 32),
        ];
    });
    sandbox.bundle(&spec);
    let cat = |name: &str| sandbox.run_unlocked(&["cat", "backup", name]).exits(0).stdout;
    assert!(cat("HomeDomain:big") == content);
    assert_eq!(cat("HomeDomain:a:b"), b"colon");
    assert_eq!(cat("HomeDomain:empty"), b"");
    assert_eq!(cat("HomeDomain:block").len(), 32);
}

#[test]
fn the_stored_bytes_are_the_file_in_the_bundle() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_mbdb());
    let entry = truth.entry("HomeDomain", "Library/SMS/sms.db").unwrap();
    let id = String::from_utf8(entry.file_id.clone()).unwrap();
    let stored = std::fs::read(sandbox.path("backup").join(id)).unwrap();
    // Neither the names of an old backup nor stored bytes need a password.
    let args = ["cat", "backup", "HomeDomain:Library/SMS/sms.db", "--stored"];
    assert!(sandbox.run(&args).exits(0).stdout == stored);
    sandbox.run(&args[..3]).exits(13).says("password-needed");
}

#[test]
fn a_name_that_is_not_there_brings_those_that_are_like_it() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    let run = sandbox.run(&["cat", "backup", "homedomain:library/sms/SMS.db"]).exits(10);
    let run = run.says("entry-not-found");
    let help = "help: did you mean HomeDomain:Library/SMS/sms.db\n";
    assert!(run.stderr.contains(help), "{}", run.stderr);
    let run = sandbox.run(&["cat", "backup", "HomeDomain:nothing/like/it", "--json"]).exits(10);
    assert_eq!(run.error()["code"], "entry-not-found");
    assert!(run.error()["help"].is_null());
    sandbox.run(&["cat", "backup", "HomeDomain:Library"]).exits(1).says("not-a-file");
    let run = sandbox.run(&["cat", "backup", "HomeDomain:Library/link"]).exits(1);
    assert!(run.says("not-a-file").stderr.contains("/private/var/mobile/x"));
    sandbox.run(&["cat", "backup", "HomeDomain"]).exits(2).says("bad-name");
    sandbox.run(&["cat", "backup", "HomeDomain:../x"]).exits(2).says("bad-name");
}

#[test]
fn oddities_and_losses_show_in_the_exit_code() {
    let sandbox = Sandbox::new();
    let noise = |path: &str, len| EntrySpec::noise("HomeDomain", path, len);
    let spec = BundleSpec::new(5).with(|spec| {
        spec.encryption = Some(Encryption::new(cases::PASSWORD));
        spec.entries = vec![
            noise("unpadded", 64).with(|entry| entry.stored = Stored::Unpadded),
            noise("size", 64).with(|entry| entry.recorded_size = Some(63)),
            noise("cut", 64).with(|entry| entry.stored = Stored::CutTo(50)),
            noise("missing", 64).with(|entry| entry.stored = Stored::Missing),
        ];
    });
    sandbox.bundle(&spec);
    let cat = |name: &str| sandbox.run_unlocked(&["cat", "backup", name]);
    let run = cat("HomeDomain:unpadded").exits(4).says("bad-padding");
    assert_eq!(run.stdout.len(), 64);
    assert_eq!(cat("HomeDomain:size").exits(4).says("size-mismatch").stdout.len(), 64);
    assert_eq!(cat("HomeDomain:cut").exits(3).says("truncated-blob").stdout.len(), 48);
    assert!(cat("HomeDomain:missing").exits(1).says("missing-blob").stdout.is_empty());
}

#[test]
fn a_file_under_a_damaged_class_key_is_told_from_a_wrong_password() {
    let sandbox = Sandbox::new();
    let spec = damaged_class();
    assert!(spec.entries.iter().any(|entry| {
        entry.class == Some(1) && matches!(&entry.node, Node::File(Content::Bytes(_)))
    }));
    sandbox.bundle(&spec);
    let run = sandbox.run_unlocked(&["cat", "backup", "KeychainDomain:keychain-backup.plist"]);
    run.exits(15).says("class-key-damaged").says("key-unwrap-failed");
    // Another class is sound, and so is its file; the bag is damaged all the same.
    let run = sandbox.run_unlocked(&["cat", "backup", "HomeDomain:Library/Notes/note.txt"]);
    assert_eq!(run.exits(15).stdout, b"hello");
}
