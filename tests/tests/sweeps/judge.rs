//! What must hold after a run, wherever it was disturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;
use serde_json::Value;

use super::place::{Node, Place, nodes, remove};
use super::points::Point;
use super::traced::{self, Ended};
use super::{CONTENT, KEY, NAME, NEW_PASSWORD, Output, PASSWORD};
use crate::sandbox::Sandbox;

/// Where a run builds what it writes.
const PARTIAL: &str = ".out.bkp-partial";
/// What it leaves beside its output.
const RECORD: &str = "out.bkp-run.json";

/// What an undisturbed run writes.
#[derive(Debug)]
pub(crate) struct Reference {
    out: BTreeMap<PathBuf, Node>,
    /// What must be found nowhere: what it is, and its bytes.
    secrets: Vec<(&'static str, Finder<'static>)>,
}

/// What a disturbed run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Whether the disturbance happened at all.
    pub(crate) hit: bool,
    pub(crate) end: End,
    /// What must not be, in words. Empty when all is well.
    pub(crate) wrong: Vec<String>,
}

/// What was there in the end.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum End {
    /// Nothing.
    #[default]
    Absent,
    /// No output, and a folder that the next run removed.
    Partial,
    /// All of the output.
    Complete,
    /// The output without what the run told to be lost.
    Told,
}

impl Reference {
    pub(crate) fn of(place: &Place) -> Self {
        place.clear();
        must_be_sound(place, &traced::plainly(place));
        let out = written(place, false).unwrap_or_else(|why| panic!("{}: {why}", place.swept.name));
        let reference = Self { out, secrets: secrets(place) };
        assert!(reference.out.values().filter(|node| node.is_file()).count() > 5);
        // A search that finds nothing anywhere would prove nothing: the password is in its file.
        let found = reference.secrets_in(&place.sandbox.path("pw"), true);
        assert!(found.iter().any(|what| what.contains("the password")), "{found:?}");
        reference
    }

    /// Says which secrets are in a file or below a folder.
    fn secrets_in(&self, path: &Path, names: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            for (what, finder) in &self.secrets {
                if (names || *what != "a name") && finder.find(&bytes).is_some() {
                    found.push(format!("{what} is in {}", path.display()));
                }
            }
        };
        if path.is_dir() {
            for (name, node) in nodes(path) {
                if node.is_file() {
                    look(&path.join(name));
                }
            }
        } else if path.is_file() {
            look(path);
        }
        found
    }
}

/// Lists what may be found nowhere in what a command leaves.
fn secrets(place: &Place) -> Vec<(&'static str, Finder<'static>)> {
    let passwords = [("the password", PASSWORD), ("the new password", NEW_PASSWORD)];
    let mut secrets: Vec<_> =
        passwords.map(|(what, password)| (what, password.as_bytes().to_vec())).into();
    let truth = &place.truth;
    // The bag of a backup that is not encrypted opens with no password, and hides nothing.
    if truth.manifest_key.is_some() {
        let classes = truth.class_keys.values();
        for key in classes.chain([&truth.passcode_key]).chain(&truth.manifest_key) {
            secrets.push(("a key", key.to_vec()));
            secrets.push(("a key in digits", bkp_testkit::hex(key).into_bytes()));
        }
    }
    if let Output::Archive { sealed: true, .. } = place.swept.output {
        secrets.push(("the archive's key", KEY.to_vec()));
    }
    let hidden = match place.swept.output {
        Output::Tree => false,
        Output::Bundle(password) => password.is_some(),
        Output::Archive { password, sealed } => password.is_some() || sealed,
    };
    if hidden {
        secrets.push(("content", CONTENT.as_bytes().to_vec()));
        secrets.push(("a name", NAME.as_bytes().to_vec()));
    }
    secrets.into_iter().map(|(what, bytes)| (what, Finder::new(&bytes).into_owned())).collect()
}

/// What the command has written, by what it means: readable files with their names. A backup must
/// be sound as well.
/// Where losses were told, they are found again, and are no surprise.
fn written(place: &Place, losses: bool) -> Result<BTreeMap<PathBuf, Node>, String> {
    let (password, sealed) = match place.swept.output {
        Output::Tree => return Ok(tree_at(&place.out())),
        Output::Bundle(password) => (password, false),
        Output::Archive { password, sealed } => (password, sealed),
    };
    let tree = Sandbox::in_memory();
    let target = tree.path("tree");
    let target = target.to_str().unwrap();
    let mut options = password.map_or(Vec::new(), |file| vec!["--password-file", file]);
    if sealed {
        options.extend(["--seal-key-file", "key"]);
    }
    for line in [
        &["verify", "out", "--read-data", "--json"][..],
        &["extract", "out", "--names", "raw", "-o", target],
    ] {
        let run = place.sandbox.run(&[line, &options].concat());
        let known = losses && matches!(run.code, 3 | 20);
        if !known && !matches!(run.code, 0 | 4) {
            let stdout = String::from_utf8_lossy(&run.stdout);
            return Err(format!("{line:?} ends with {}: {stdout}{}", run.code, run.stderr));
        }
    }
    Ok(tree_at(&tree.path("tree")))
}

/// A tree without the time of its top, which stands in no backup.
fn tree_at(path: &Path) -> BTreeMap<PathBuf, Node> {
    let mut tree = nodes(path);
    tree.entry(PathBuf::new()).and_modify(|top| top.modified = (0, 0));
    tree
}

/// Fails the test unless an undisturbed run did all it should.
pub(crate) fn must_be_sound(place: &Place, ended: &Ended) {
    let wrong = not_sound(place, ended);
    assert!(wrong.is_none(), "{}: {}", place.swept.name, wrong.unwrap_or_default());
}

fn not_sound(place: &Place, ended: &Ended) -> Option<String> {
    let Ended { code, stdout, stderr, .. } = ended;
    let left = place.left();
    if *code != Some(0) || !stderr.is_empty() {
        Some(format!("exit code {code:?}: {stderr}"))
    } else if let Err(why) = counts(stdout) {
        Some(why)
    } else if left != ["out", RECORD] {
        Some(format!("it left {left:?}"))
    } else {
        None
    }
}

/// Checks that listed = done + skipped + failed, and returns how many failed and the document.
fn counts(stdout: &[u8]) -> Result<(u64, Value), String> {
    let json: Value = serde_json::from_slice(stdout).map_err(|_| "no document".to_owned())?;
    let count = |name: &str| json[name].as_u64().ok_or(format!("no {name} in {json}"));
    let (listed, done) = (count("listed")?, count("done")?);
    let (skipped, failed) = (count("skipped")?, count("failed")?);
    if listed == 0 || listed != done + skipped + failed {
        return Err(format!("{listed} listed, {done} done, {skipped} skipped, {failed} failed"));
    }
    Ok((failed, json))
}

/// Runs a command with one disturbance and judges what came of it.
pub(crate) fn run(place: &Place, reference: &Reference, point: &Point) -> Outcome {
    place.clear();
    let (ended, hit) = point.run(place);
    let mut outcome = Outcome { hit, ..Outcome::default() };
    judge_process(point, &ended, hit, &mut outcome.wrong);
    if place.source_changed() {
        outcome.wrong.push("the source was changed".to_owned());
    }
    judge_secrets(place, reference, &mut outcome.wrong);
    outcome.end = judge_output(place, reference, &ended, &mut outcome.wrong);
    judge_rest(place, point, &mut outcome);
    if let Some(what) = outcome.wrong.last_mut() {
        let Ended { code, signal, stderr, .. } = &ended;
        let last = stderr.lines().last().unwrap_or_default();
        *what = format!("{what} (exit code {code:?}, signal {signal:?}, {last})");
    }
    outcome
}

/// However a call fails, the program ends by itself, in time, and without a panic.
fn judge_process(point: &Point, ended: &Ended, hit: bool, wrong: &mut Vec<String>) {
    let Ended { code, signal, stderr, in_time, .. } = ended;
    if !in_time {
        wrong.push("it did not end".to_owned());
    }
    if signal.is_some() && !point.kills() {
        wrong.push("it was ended by a signal".to_owned());
    }
    if stderr.contains("panicked") || *code == Some(101) {
        wrong.push("it panicked".to_owned());
    }
    if hit && point.is_lost_sync() && *code == Some(0) {
        wrong.push("what was written may not be on the disk, and it says nothing".to_owned());
    }
}

/// Nothing secret lies anywhere beside the source.
fn judge_secrets(place: &Place, reference: &Reference, wrong: &mut Vec<String>) {
    for name in place.left() {
        // A record may name entries.
        let names = !name.contains(RECORD);
        wrong.extend(reference.secrets_in(&place.sandbox.path(&name), names));
    }
    wrong.extend(reference.secrets_in(&place.sandbox.path("home"), true));
}

/// An output that is there is whole, or the run told what it lacks. One that is not there, or not
/// whole, was never called a success.
fn judge_output(
    place: &Place,
    reference: &Reference,
    ended: &Ended,
    wrong: &mut Vec<String>,
) -> End {
    let claims = matches!(ended.code, Some(0 | 3 | 4));
    if !place.out().exists() {
        if claims {
            wrong.push("it claims success, and there is no output".to_owned());
        }
        return End::Absent;
    }
    let mut told = told_on_stderr(&ended.stderr);
    let mut messages = ended.stderr.clone();
    let mut failed = told.len() as u64;
    match counts(&ended.stdout) {
        Ok((count, json)) => {
            failed = count;
            told.extend(told_at_the_end(&json));
            messages.push_str(&json["problems"].to_string());
        }
        Err(why) if claims => wrong.push(why),
        Err(_) => {}
    }
    let out = match written(place, failed > 0) {
        Ok(out) => out,
        Err(why) => {
            wrong.push(why);
            return End::Complete;
        }
    };
    let exact = ended.code == Some(0);
    let mut lost = 0_u64;
    for (path, node) in &reference.out {
        match out.get(path) {
            Some(other) if node == other || (!exact && node.holds_the_same(other)) => {}
            // A link whose place could not be cleared: an empty file holds it until the end.
            Some(other) if other.is_empty_file() && told.contains(path) => lost += 1,
            Some(_) => wrong.push(format!("{} is not what it was", path.display())),
            None => {
                lost += 1;
                if !told.contains(path) && !told_by_id(&messages, path) {
                    wrong.push(format!("{} was lost in silence", path.display()));
                }
            }
        }
    }
    for path in out.keys().filter(|path| !reference.out.contains_key(*path)) {
        wrong.push(format!("{} is too much", path.display()));
    }
    match (lost, ended.code) {
        // Of a directory that is there for its files' sake, what its own row says is lost.
        (_, Some(3)) if failed > 0 => End::Told,
        // The end went wrong as well, and there is no document.
        (1.., code) if failed > 0 && code != Some(0) => End::Told,
        (0, Some(3)) => {
            wrong.push("exit code 3, and nothing is said to be lost".to_owned());
            End::Complete
        }
        (0, _) => End::Complete,
        (lost, code) => {
            wrong.push(format!("{lost} entries are not there, {failed} failed, {code:?}"));
            End::Told
        }
    }
}

/// The entries that a run says it could not read or write, as paths of the tree.
fn told_at_the_end(json: &Value) -> Vec<PathBuf> {
    let items = json["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(told).collect()
}

/// Tells whether a run has named an entry's payload as lost: what knows no catalog cannot say more.
fn told_by_id(messages: &str, path: &Path) -> bool {
    let text = path.to_str().unwrap_or_default();
    let (domain, path) = text.split_once('/').unwrap_or((text, ""));
    messages.contains(&bkp_testkit::file_id(domain, path))
}

/// The same as it was told on the way.
fn told_on_stderr(stderr: &str) -> BTreeSet<PathBuf> {
    let items = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    items.filter(|item| item["severity"] == "failure").filter_map(|item| told(&item)).collect()
}

fn told(item: &Value) -> Option<PathBuf> {
    let (domain, path) = (item["domain"].as_str()?, item["relative_path"].as_str()?);
    Some(Path::new(domain).join(path))
}

/// What else is there is marked as unfinished, and the next run removes it and does it all.
fn judge_rest(place: &Place, point: &Point, outcome: &mut Outcome) {
    let left = place.left();
    let temporary = |name: &str| {
        let number = name.strip_prefix(".out.bkp-run.json.").and_then(|n| n.strip_suffix(".tmp"));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut unclean = false;
    for name in &left {
        match name.as_str() {
            "out" | RECORD => {}
            PARTIAL => unclean = true,
            name if temporary(name) => unclean = true,
            name => outcome.wrong.push(format!("it left {name}")),
        }
    }
    if left.iter().any(|name| name == RECORD) {
        let record = fs::read(place.sandbox.path(RECORD)).unwrap();
        if serde_json::from_slice::<Value>(&record).is_err() {
            outcome.wrong.push("the record is half written".to_owned());
        }
    }
    // What a run had not begun to fill, it may leave to the next one.
    let built = place.sandbox.path(PARTIAL).join("tree").exists()
        || left.iter().any(|name| temporary(name));
    if unclean && built && !point.hinders_cleaning() {
        outcome.wrong.push(format!("it did not clean up: {left:?}"));
    }
    if !unclean && !point.kills() {
        return;
    }
    if left.iter().any(|name| name == PARTIAL) && outcome.end == End::Absent {
        outcome.end = End::Partial;
    }
    // Whoever runs it again gets everything. An output that is whole stays as it is.
    if place.out().exists() {
        remove(&place.out());
    }
    for name in left.iter().filter(|name| temporary(name)) {
        remove(&place.sandbox.path(name));
    }
    let again = traced::plainly(place);
    if let Some(why) = not_sound(place, &again) {
        outcome.wrong.push(format!("the next run: {why}"));
    }
}

/// The judge sees each of the things that must not be.
#[test]
fn what_is_wrong_is_seen() {
    let swept = &super::COMMANDS[0];
    let place = Place::new(swept, "1");
    let reference = Reference::of(&place);
    let done = |code| {
        place.clear();
        let ended = traced::plainly(&place);
        Ended { code: Some(code), ..ended }
    };
    let output = |ended: &Ended| {
        let mut wrong = Vec::new();
        judge_output(&place, &reference, ended, &mut wrong);
        wrong.join(", ")
    };
    let none = String::new();
    assert_eq!(output(&done(0)), none);
    // A file is lost, with every exit code.
    let file = place.out().join("HomeDomain/Library/SMS/sms.db");
    for code in [0, 1, 3, 4] {
        let ended = done(code);
        fs::remove_file(&file).unwrap();
        assert!(output(&ended).contains("sms.db was lost in silence"), "{code}");
    }
    // It has other bytes, or is too much.
    let ended = done(0);
    fs::write(&file, "other").unwrap();
    assert!(output(&ended).contains("sms.db is not what it was"));
    let ended = done(0);
    fs::write(place.out().join("more"), "").unwrap();
    assert!(output(&ended).contains("more is too much"));
    // There is none, or no document, or the document does not add up.
    let ended = done(0);
    remove(&place.out());
    assert!(output(&ended).contains("there is no output"));
    assert!(output(&Ended { stdout: Vec::new(), ..done(0) }).contains("no document"));
    let odd = br#"{"listed":9,"done":7,"skipped":1,"failed":0}"#.to_vec();
    assert!(output(&Ended { stdout: odd, ..done(0) }).contains("9 listed"));

    // What else lies there.
    let point = Point::FileSize(0);
    let rest = |name: &str, bytes: &[u8]| {
        done(0);
        place.sandbox.file(name, bytes);
        let mut outcome = Outcome { end: End::Complete, ..Outcome::default() };
        judge_rest(&place, &point, &mut outcome);
        judge_secrets(&place, &reference, &mut outcome.wrong);
        outcome.wrong.join(", ")
    };
    assert_eq!(rest("out/x", b""), none);
    assert!(rest("stray", b"").contains("it left stray"));
    assert!(rest(RECORD, b"{").contains("half written"));
    assert!(rest(".out.bkp-run.json.77.tmp", b"").contains("did not clean up"));
    assert!(rest("home/x", PASSWORD.as_bytes()).contains("the password is in"));
    fs::remove_file(place.sandbox.path("home/x")).unwrap();
    // A folder that is not marked is in the way of the next run.
    done(0);
    fs::create_dir(place.sandbox.path(PARTIAL)).unwrap();
    place.sandbox.file(format!("{PARTIAL}/x").as_str(), "");
    let mut outcome = Outcome::default();
    judge_rest(&place, &point, &mut outcome);
    assert!(outcome.wrong.join(", ").contains("the next run"), "{outcome:?}");
    // The source: a byte, a name, a time.
    assert!(!place.source_changed());
    place.sandbox.file("backup/x", "");
    assert!(place.source_changed());
}
