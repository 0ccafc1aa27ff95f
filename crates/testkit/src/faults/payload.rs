//! Payloads: padding, length and presence. Source: FORMAT.md 2.6.

use super::Draft;

const OK: &str = "ok";
const MISSING: &str = "payload/missing-blob";
const SIZE: &str = "payload/size-mismatch";
const CUT: &str = "payload/size-mismatch payload/truncated-blob";
const PADDING: &str = "payload/bad-padding payload/size-mismatch";

pub(super) fn recipes() -> Vec<Draft> {
    let mut cases = Vec::new();
    for base in ["plain", "encrypted", "plain-mbdb", "encrypted-mbdb"] {
        every_base(&mut cases, base);
        if base.starts_with("encrypted") {
            encrypted(&mut cases, base);
        } else {
            plain(&mut cases, base);
        }
    }
    cases
}

fn every_base(cases: &mut Vec<Draft>, base: &str) {
    let mut add = |name: &str, title: &str, expect, lines: &str| {
        let name = format!("{base}-{name}");
        cases.push(Draft::new(name, title, expect, format!("base {base}\n{lines}\n")));
    };
    add("sound", "nothing is wrong", OK, "");
    add("missing", "the blob is not there", MISSING, "remove blob");
    add("size-less", "the recorded size is too small", SIZE, "size 4");
    add("size-more", "the recorded size is too large", SIZE, "size 6");
    add("size-0", "the recorded size is 0", SIZE, "size 0");
    add("size-huge", "the recorded size is 8 EiB", SIZE, "size 9223372036854775807");
    add("size-negative", "the recorded size is negative", SIZE, "size -1");
    add("digest-wrong", "a digest that only a check can tell", OK, &{
        format!("digest {}", "00".repeat(20))
    });
    add("digest-absent", "no digest where one belongs", OK, "digest none");
    let block = format!("content {}", "x".repeat(16));
    add("content-16", "one whole block", OK, &block);
    add("content-empty", "no content", OK, "content ");
    let padding = format!("content {}", "\\x10".repeat(16));
    add("content-padding", "content that looks like padding", OK, &padding);
    let database = format!("content SQLite format 3\\0{}\nsize 4096", "\\0".repeat(84));
    add("database", "a database that grew after it was measured", SIZE, &database);
}

fn plain(cases: &mut Vec<Draft>, base: &str) {
    for (name, title, lines) in [
        ("cut-0", "the blob has no bytes", "cut blob 0"),
        ("cut-4", "the blob lacks its last byte", "cut blob 4"),
        ("longer", "the blob has a byte too many", "append blob 00"),
        ("padded", "the blob has padding, as if it were encrypted", {
            "append blob 0b0b0b0b0b0b0b0b0b0b0b"
        }),
    ] {
        let body = format!("base {base}\n{lines}\n");
        cases.push(Draft::new(format!("{base}-{name}"), title, SIZE, body).reads(2));
    }
    let body = format!("base {base}\nxor blob 0 01\n");
    let title = "a changed byte that only a digest can tell";
    cases.push(Draft::new(format!("{base}-flipped"), title, OK, body).reads(2));
}

fn encrypted(cases: &mut Vec<Draft>, base: &str) {
    let mut add = |name: &str, title: &str, expect, lines: &str| {
        let name = format!("{base}-{name}");
        let body = format!("base {base}\n{lines}\n");
        cases.push(Draft::new(name, title, expect, body).reads(2));
    };
    add("cut-0", "the blob has no bytes", SIZE, "cut blob 0");
    for len in [1, 8, 15] {
        let title = format!("the blob is cut to {len} bytes, not one block");
        add(&format!("cut-{len}"), &title, CUT, &format!("cut blob {len}"));
    }
    add("longer-1", "the blob has a byte too many", CUT, "append blob 00");
    add("longer-15", "the blob has all but a block too many", CUT, &{
        format!("append blob {}", "00".repeat(15))
    });
    add("longer-16", "the blob has a block too many", PADDING, &{
        format!("append blob {}", "00".repeat(16))
    });
    add("flipped-first", "the first byte is wrong", PADDING, "xor blob 0 01");
    add("flipped-last", "the last byte is wrong", PADDING, "xor blob 15 01");
    add("plaintext", "the blob is plaintext", CUT, "put blob hello");
    let three = format!("content {}", "x".repeat(40));
    add("flipped-inside", "a changed byte that only a digest can tell", OK, &{
        format!("{three}\nxor blob 0 01")
    });
    add("flipped-before", "a changed byte before the last block spoils the padding", PADDING, &{
        format!("{three}\nxor blob 31 ff")
    });
    add("padding-of-0", "padding of 0", PADDING, &format!("{three}\nxor blob 31 08"));
    let body = format!("base {base}\ncontent {}\ncut blob 16\n", "x".repeat(16));
    let title = "the block of padding is gone, and nothing else";
    cases.push(Draft::new(format!("{base}-unpadded"), title, "payload/bad-padding", body));
}
