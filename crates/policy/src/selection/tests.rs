use bkp_core::{Domain, Entry, EntryKind, Everything, RelPath, Select as _};

use super::{Counts, Selection};
use crate::Rules;

fn entry(domain: &str, path: &str, kind: EntryKind) -> Entry {
    Entry::derive(Domain::new(domain).unwrap(), RelPath::new(path).unwrap(), kind)
}

/// Names ending in `/` are directories.
fn catalog(names: &[(&str, u64)]) -> Vec<Entry> {
    names
        .iter()
        .map(|&(name, size)| {
            let (domain, path) = name.split_once(':').unwrap();
            let directory = path.is_empty() || path.ends_with('/');
            let kind = if directory { EntryKind::Directory } else { EntryKind::File };
            let mut entry = entry(domain, path.trim_end_matches('/'), kind);
            entry.metadata.size_hint = size;
            entry
        })
        .collect()
}

fn kept(selection: &Selection<'_>, entries: &[Entry]) -> Vec<String> {
    entries.iter().filter(|e| selection.judge(e).is_keep()).map(ToString::to_string).collect()
}

#[test]
fn parents_come_with_their_children_wherever_they_stand() {
    let entries = catalog(&[
        ("HomeDomain:Library/Caches/a", 7),
        ("HomeDomain:", 0),
        ("HomeDomain:Library/", 0),
        ("HomeDomain:Documents/", 0),
        ("HomeDomain:Library/Caches/", 0),
        ("HomeDomain:b", 5),
        ("RootDomain:", 0),
        ("RootDomain:Library/", 0),
    ]);
    let rules = Rules::builder().include("HomeDomain:Library/Caches/*").build().unwrap();
    let selection = Selection::of_entries(&entries, &rules);
    assert_eq!(
        kept(&selection, &entries),
        [
            "HomeDomain:Library/Caches/a",
            "HomeDomain:",
            "HomeDomain:Library",
            "HomeDomain:Library/Caches"
        ]
    );
    assert_eq!(*selection.kept(), Counts { files: 1, directories: 3, symlinks: 0, bytes: 7 });
    assert_eq!(*selection.left_out(), Counts { files: 1, directories: 3, symlinks: 0, bytes: 5 });
    let dropped: Vec<_> = selection.dropped().map(|d| (d.id, d.rule)).collect();
    let wanted: Vec<_> = [3, 5, 6, 7].into_iter().map(|at: usize| (entries[at].id, None)).collect();
    assert_eq!(dropped, wanted);
}

#[test]
fn dropped_rows_name_their_rule() {
    let entries = catalog(&[("a:x", 1), ("a:y", 2), ("b:x", 3), ("b:y", 9)]);
    let rules = Rules::builder().exclude("*:x").exclude("a:y").max_size(5).build().unwrap();
    let selection = Selection::of_entries(&entries, &rules);
    let named: Vec<_> = selection.dropped().map(|d| d.rule.unwrap()).collect();
    assert_eq!(named, ["- *:x", "- a:y", "- *:x", "max-size 5"]);
    assert_eq!(selection.kept().entries(), 0);
}

/// A link or a file that stands where a directory is needed is not kept for it.
#[test]
fn only_directories_are_kept_for_their_children() {
    let mut entries = catalog(&[("a:", 0), ("a:d/x", 1)]);
    entries.push(entry("a", "d", EntryKind::symlink(b"/etc").unwrap()));
    let rules = Rules::builder().include("a:d/x").build().unwrap();
    let selection = Selection::of_entries(&entries, &rules);
    assert_eq!(kept(&selection, &entries), ["a:", "a:d/x"]);
    assert_eq!(selection.left_out().symlinks, 1);

    // Not even where a directory of the same name is.
    entries.extend(catalog(&[("a:d/", 0)]));
    let selection = Selection::of_entries(&entries, &rules);
    assert_eq!(kept(&selection, &entries), ["a:", "a:d/x", "a:d"]);
    assert_eq!((selection.left_out().symlinks, selection.kept().directories), (1, 2));
}

/// Filters look at the database, whatever the size of its companions and the order of the rows.
#[test]
fn companions_follow_their_database_through_filters() {
    let big = [("a:", 0), ("a:d/", 0), ("a:d/big", 100), ("a:d/big-wal", 1), ("a:d/big-shm", 32)];
    let small = [("a:small", 5), ("a:small-wal", 100), ("a:lone-wal", 3), ("a:other", 50)];
    let mut names: Vec<_> = big.into_iter().chain(small).collect();
    for reversed in [false, true] {
        if reversed {
            names.reverse();
        }
        let entries = catalog(&names);
        let rules = Rules::builder().min_size(50).build().unwrap();
        let selection = Selection::of_entries(&entries, &rules);
        let mut got = kept(&selection, &entries);
        got.sort();
        assert_eq!(got, ["a:", "a:d", "a:d/big", "a:d/big-shm", "a:d/big-wal", "a:other"]);
        assert_eq!(*selection.kept(), Counts { files: 4, directories: 2, symlinks: 0, bytes: 183 });
        assert_eq!(selection.left_out().files, 3);
        let left: Vec<_> = selection.dropped().map(|d| d.id).collect();
        let wanted = ["a:small", "a:small-wal", "a:lone-wal"];
        let wanted: Vec<_> =
            entries.iter().filter(|e| wanted.contains(&&*e.to_string())).map(|e| e.id).collect();
        assert_eq!(left, wanted, "in catalog order");

        let rules = Rules::builder().max_size(50).build().unwrap();
        let selection = Selection::of_entries(&entries, &rules);
        let got = kept(&selection, &entries);
        assert!(!got.iter().any(|name| name.contains("big")), "{got:?}");
        assert!(got.contains(&"a:small-wal".to_owned()));
    }
}

/// Counts the walks that it takes.
fn walks<'r>(entries: &[Entry], rules: &'r Rules) -> (u32, Selection<'r>) {
    let mut walks = 0;
    let selection = Selection::of_walk(rules, &mut |visit| {
        walks += 1;
        entries.iter().for_each(visit);
        Ok::<(), std::convert::Infallible>(())
    });
    (walks, selection.unwrap())
}

/// One walk is enough where databases stand near their companions, and what comes out does not
/// depend on that.
#[test]
fn companions_are_decided_with_one_walk_or_two() {
    let rules = Rules::builder().min_size(50).build().unwrap();
    let fill = |n: usize| (0..n).map(|i| (format!("a:{i}"), 60)).collect::<Vec<_>>();
    for (between, lone, expected) in [(0, false, 1), (200, false, 1), (300, false, 2), (0, true, 2)]
    {
        for companion_first in [false, true] {
            let (database, companion) = (("a:x".to_owned(), 100), ("a:x-wal".to_owned(), 1));
            let mut names = if companion_first { vec![companion] } else { vec![database] };
            names.extend(fill(between));
            names.push(if companion_first {
                ("a:x".to_owned(), 100)
            } else {
                ("a:x-wal".to_owned(), 1)
            });
            names.push(("a:small".to_owned(), 1));
            if lone {
                names.push(("b:y-shm".to_owned(), 1));
            }
            let names: Vec<_> = names.iter().map(|(name, size)| (&**name, *size)).collect();
            let entries = catalog(&names);
            let (walked, selection) = walks(&entries, &rules);
            // A database that comes later is always noted.
            let expected = if companion_first && !lone { 1 } else { expected };
            assert_eq!(walked, expected, "{between} between");
            assert_eq!(selection.kept().files, 2 + u64::try_from(between).unwrap());
            let left: Vec<_> = selection.dropped().map(|d| d.id).collect();
            let names = if lone { &["a:small", "b:y-shm"][..] } else { &["a:small"] };
            let wanted: Vec<_> =
                entries.iter().filter(|e| names.contains(&&*e.to_string())).map(|e| e.id).collect();
            assert_eq!(left, wanted);
        }
    }
    // More companions than are held.
    let mut names = fill(9000);
    names.extend((0..9000).map(|i| (format!("a:{i}-wal"), 1)));
    names.push(("a:small".to_owned(), 1));
    let names: Vec<_> = names.iter().map(|(name, size)| (&**name, *size)).collect();
    let (walked, selection) = walks(&catalog(&names), &rules);
    assert_eq!((walked, selection.kept().files, selection.left_out().files), (2, 18_000, 1));
    // Nothing is left out, so there is nothing to decide.
    let everything = Rules::builder().build().unwrap();
    let (walked, selection) = walks(&catalog(&names), &everything);
    assert_eq!((walked, selection.kept().files), (1, 18_001));
    assert!(selection.domains().all(|(_, share)| share.kept && !share.left_out));
}

#[test]
fn what_is_all_kept_costs_nothing() {
    let entries = catalog(&[("a:", 0), ("a:d/", 0), ("a:d/x", 1), ("a:d/x-wal", 2)]);
    let selection = Selection::of_entries(&entries, &Everything);
    assert_eq!(*selection.kept(), Counts { files: 2, directories: 2, symlinks: 0, bytes: 3 });
    assert_eq!(kept(&selection, &entries).len(), 4);
    assert!(selection.parents.is_empty() && selection.databases.is_empty());
    assert_eq!((selection.dropped().len(), selection.dropped.capacity()), (0, 0));
}

/// Counts agree with what is judged, and every kept entry has its parents, for random rules.
#[test]
fn selections_are_closed_and_counted() {
    let mut entries = catalog(&[("a:", 0), ("b:", 0)]);
    for domain in ["a", "b"] {
        for i in 0..4 {
            entries.extend(catalog(&[(&format!("{domain}:{i}/"), 0)]));
            for j in 0..4 {
                entries.extend(catalog(&[(&format!("{domain}:{i}/{j}/"), 0)]));
                for k in ["x", "x-wal", "y-shm", "z"] {
                    entries.extend(catalog(&[(&format!("{domain}:{i}/{j}/{k}"), i * 10 + j)]));
                }
            }
        }
    }
    for seed in 0..500u64 {
        let (i, j, k) = (seed % 4, seed / 4 % 4, seed / 16 % 4);
        let mut rules = Rules::builder().min_size(seed % 23);
        rules = if seed % 2 == 0 {
            rules.include(format!("a:{i}"))
        } else {
            rules.exclude(format!("*:{i}/*"))
        };
        rules = rules.exclude(format!("*:{i}/{j}")).include(format!("b:{k}/**/x"));
        let rules = rules.build().unwrap();
        let selection = Selection::of_entries(&entries, &rules);
        let kept = kept(&selection, &entries);
        assert_eq!(u64::try_from(kept.len()).unwrap(), selection.kept().entries());
        assert_eq!(kept.len() + selection.dropped().len(), entries.len());
        for entry in entries.iter().filter(|e| selection.judge(e).is_keep()) {
            if let Some(parent) = entry.path.parent() {
                let parent = format!("{}:{parent}", entry.domain);
                assert!(kept.contains(&parent), "{entry} without {parent}");
            }
        }
        for dropped in selection.dropped() {
            let entry = entries.iter().find(|e| e.id == dropped.id).unwrap();
            assert!(!selection.judge(entry).is_keep());
        }
        assert_eq!(selection.domains().len(), 2);
        for (domain, share) in selection.domains() {
            let mut of_domain = entries.iter().filter(|e| e.domain == *domain);
            let kept = of_domain.clone().any(|e| selection.judge(e).is_keep());
            let left_out = of_domain.any(|e| !selection.judge(e).is_keep());
            assert_eq!((share.kept, share.left_out), (kept, left_out), "{domain}");
        }
    }
}
