//! Every file of the fuzz corpora, through what the fuzz targets run.

use std::path::Path;
use std::time::Duration;

use crate::noise::time;

#[path = "../../../../fuzz/bodies/keybag.rs"]
mod keybag;
#[path = "../../../../fuzz/bodies/mbdb.rs"]
mod mbdb;
#[path = "../../../../fuzz/bodies/mbfile.rs"]
mod mbfile;
#[path = "../../../../fuzz/bodies/open.rs"]
mod open;
#[path = "../../../../fuzz/bodies/plist.rs"]
mod plist;
#[path = "../../../../fuzz/bodies/sealed.rs"]
mod sealed;
#[path = "../../../../fuzz/bodies/zip.rs"]
mod zip;

fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let ((), took) = time(|| run(&bytes));
        assert!(took < Duration::from_secs(1), "{} took {took:?}", path.display());
        count += 1;
    }
    println!("{target}: {count} inputs");
    assert!(count >= 5, "{target}: {count} inputs");
}

#[test]
fn the_corpora_do_no_harm() {
    replay("keybag", keybag::run);
    replay("mbdb", mbdb::run);
    replay("mbfile", mbfile::run);
    replay("open", open::run);
    replay("plist", plist::run);
    replay("sealed", sealed::run);
    replay("zip", zip::run);
}
