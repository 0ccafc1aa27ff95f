use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{FaultCase, all, read, seeds, write};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases")
}

/// The committed cases are those of this code, byte for byte, and there are no others.
#[test]
fn the_committed_cases_are_current() {
    let all = all().unwrap();
    let dir = committed();
    let mut names: HashSet<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    let mut bytes = 0;
    for case in &all {
        let name = format!("{}.case", case.name);
        let file = std::fs::read(dir.join(&name)).unwrap_or_default();
        assert!(file == case.encode(), "{name} is stale: bkp-testkit cases-write fixtures/cases");
        bytes += file.len();
        names.remove(&name);
    }
    assert_eq!(names, HashSet::new(), "no such cases any more");
    assert!(all.len() >= 250, "{} cases", all.len());
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

#[test]
fn a_case_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gone.case"), b"old").unwrap();
    std::fs::write(dir.path().join("README.md"), b"kept").unwrap();
    write(dir.path()).unwrap();
    assert_eq!(read(dir.path()).unwrap(), all().unwrap());
    assert!(dir.path().join("README.md").exists() && !dir.path().join("gone.case").exists());
}

#[test]
fn what_is_no_case_is_an_error() {
    for text in [
        "",
        "title: x\n",
        "title: x\nkind: nothing\nexpect: ok\nread: 3\n\n",
        "title: x\nkind: keybag\nexpect: ok\nread: many\n\n",
        "title: x\nkind: keybag\nread: 3\n\n",
    ] {
        assert!(FaultCase::decode("x", text.as_bytes()).is_err(), "{text:?}");
    }
    let case = |recipe: &str| {
        let text = format!("title: x\nkind: recipe\nexpect: ok\nread: 3\n\n{recipe}");
        FaultCase::decode("x", text.as_bytes()).unwrap().files()
    };
    assert!(case("base plain\n").is_ok());
    for recipe in [
        "",
        "base other\n",
        "size 4\n",
        "base plain\nsise 4\n",
        "base plain\nsize four\n",
        "base plain\nxor blob 99 01\n",
        "base plain\nremove nothing\n",
        "base plain\nput x \\y\n",
        "base plain\nimage nothing\n",
        "base plain\nsql SELEKT\n",
        "base plain-mbdb\nsql SELECT 1\n",
    ] {
        assert!(case(recipe).is_err(), "{recipe:?}");
    }
}

/// Nothing is wrong with a case by chance: its bundle is the base but for what it says.
#[test]
fn two_cases_of_one_place_differ() {
    let mut seen = HashSet::new();
    for case in all().unwrap() {
        assert!(
            seen.insert((case.kind.name(), case.body.clone())),
            "{} is another's twin",
            case.name
        );
    }
}

/// The committed seeds of the fuzz targets are those of this code. There may be more: findings.
#[test]
fn the_committed_seeds_are_current() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let seeds = seeds::seeds().unwrap();
    for seed in &seeds {
        let path = dir.join(seed.target).join(&seed.name);
        let file = std::fs::read(&path).unwrap_or_default();
        assert!(file == seed.bytes, "{} is stale: bkp-testkit corpus fuzz/corpus", path.display());
    }
    for target in seeds::TARGETS {
        let count = seeds.iter().filter(|seed| seed.target == target).count();
        assert!(count >= 5, "{count} seeds of {target}");
    }
}
