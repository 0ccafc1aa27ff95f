//! Writes test bundles from the command line.
#![forbid(unsafe_code)]
fn main() -> std::io::Result<()> {
    let dir = std::env::args_os().nth(2).unwrap_or_else(|| "fixtures".into());
    bkp_testkit::fixtures::write(std::path::Path::new(&dir))
}
