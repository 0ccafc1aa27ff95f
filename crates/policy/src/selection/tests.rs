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
    }
}
