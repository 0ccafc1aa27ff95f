//! Keybags that are damaged, or cost more than any password is worth. Source: FORMAT.md 3.

use crate::{BundleSpec, Keybag};

type NamedSpec = (&'static str, &'static str, BundleSpec);

/// Encrypted bundles, sound but for the keybag: name, what is wrong, bundle.
#[must_use]
pub fn damaged_keybags() -> Vec<NamedSpec> {
    let spec = super::encrypted_db(10_000);
    let right = spec.keybag_contents();
    let bytes = right.encode();
    let with = |keybag: Vec<u8>| spec.clone().with(|spec| spec.keybag_bytes = Some(keybag));
    let changed = |change: fn(&mut Keybag)| {
        let mut bag = right.clone();
        change(&mut bag);
        with(bag.encode())
    };
    let mut long_length = bytes.clone();
    // The length of the first tag, VERS.
    long_length[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    vec![
        (
            "wpky-flipped",
            "one bit of one wrapped class key is wrong: that class, not the password",
            changed(|bag| {
                if let Some(record) = bag.records.iter_mut().find(|record| record.class == 3) {
                    record.wrapped[20] ^= 1;
                }
            }),
        ),
        (
            "every-wpky-flipped",
            "one bit of every wrapped class key is wrong: looks like a wrong password",
            changed(|bag| bag.records.iter_mut().for_each(|record| record.wrapped[20] ^= 1)),
        ),
        (
            "wpky-short",
            "a wrapped class key of 39 bytes",
            changed(|bag| bag.records.iter_mut().for_each(|record| record.wrapped.truncate(39))),
        ),
        ("truncated-record", "ends in the last record", with(bytes[..bytes.len() - 10].to_vec())),
        ("truncated-header", "ends in the header", with(bytes[..60].to_vec())),
        ("truncated-tag", "ends in the first tag", with(bytes[..3].to_vec())),
        ("empty", "no bytes at all", with(Vec::new())),
        ("garbage", "bytes that are no keybag", with(vec![0x5a; 1388])),
        ("long-length", "an item claims 4 GiB", with(long_length)),
        ("trailing-bytes", "bytes after the last item", with([&bytes[..], b"xx"].concat())),
        (
            "iter-huge",
            "ITER 4,294,967,295: minutes of work",
            changed(|bag| bag.iterations = u32::MAX),
        ),
        (
            "dpic-huge",
            "DPIC 4,294,967,295: an hour of work",
            changed(|bag| {
                if let Some((rounds, _)) = &mut bag.double_protection {
                    *rounds = u32::MAX;
                }
            }),
        ),
        ("iter-zero", "ITER 0", changed(|bag| bag.iterations = 0)),
        ("type-escrow", "TYPE 2, an escrow keybag", changed(|bag| bag.bag_type = 2)),
        ("no-classes", "a header alone", changed(|bag| bag.records.clear())),
        (
            "class-twice",
            "class 3 stands twice with different keys",
            changed(|bag| {
                let mut twin = bag.records[0].clone();
                twin.class = 3;
                bag.records.push(twin);
            }),
        ),
        (
            "ktyp-curve25519",
            "class 2 claims a key type that backups do not use",
            changed(|bag| {
                if let Some(record) = bag.records.iter_mut().find(|record| record.class == 2) {
                    record.key_type = 1;
                }
            }),
        ),
        (
            "many-records",
            "100,000 class records",
            changed(|bag| bag.records = vec![bag.records[0].clone(); 100_000]),
        ),
    ]
}
