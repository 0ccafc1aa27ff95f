use bkp_core::{Entry, Fault as _, FileId};

use super::{CatalogKind, CatalogWriter};
use crate::testing::shared;
use crate::{Bundle, Limits, Opened, RowPatch, Storage};

fn records(bundle: &str) -> Option<Vec<Entry>> {
    let dir = shared(&format!("bundles/{bundle}"))?;
    let opened = Opened::open(Storage::directory(&dir).unwrap(), Limits::default()).unwrap();
    let catalog = opened.catalog().unwrap();
    Some(catalog.records().map(|record| record.unwrap().into()).collect())
}

#[test]
fn real_mbdb_comes_out_as_it_went_in() {
    for bundle in ["ios9.3-encrypted-mbdb", "thirdparty-9.0.1-encrypted-mbdb"] {
        let Some(records) = records(bundle) else { return };
        let path = shared(&format!("bundles/{bundle}/Manifest.mbdb")).unwrap();
        let mut writer = CatalogWriter::new(CatalogKind::Mbdb);
        for entry in &records {
            writer.push(entry, &RowPatch::default()).unwrap();
        }
        assert_eq!(*writer.finish().unwrap(), *std::fs::read(path).unwrap());
    }
}
