//! What `benches/throughput.rs` asks of the crabapple library.
//!
//! ```text
//! crabapple-peer open | list | extract | extract-streams BACKUP PASSWORD [OUT]
//! ```
//!
//! The library decrypts a file in memory as a whole, or as a stream. The stream takes one block at a
//! time, which costs some fifteen times as much where the cipher is chosen at run time; `extract`
//! does the former, which is the library at its best, and needs memory for the largest file.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crabapple::{Authentication, Backup};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [job, folder, password, rest @ ..] = args.as_slice() else {
        return Err("open | list | extract | extract-streams BACKUP PASSWORD [OUT]".into());
    };
    let backup = Backup::open(folder, &Authentication::Password(password.clone()))?;
    match (job.as_str(), rest) {
        ("open", _) => Ok(()),
        ("list", _) => {
            let mut out = BufWriter::new(io::stdout().lock());
            for entry in backup.entries()? {
                let size = entry.metadata.size;
                writeln!(out, "{}\t{}\t{}\t{size}", entry.file_id, entry.domain, entry.relative_path)?;
            }
            Ok(out.flush()?)
        }
        ("extract" | "extract-streams", [out]) => {
            for entry in backup.entries()?.into_iter().filter(|entry| entry.flags == 1) {
                let path = Path::new(out).join(&entry.domain).join(&entry.relative_path);
                if let Some(above) = path.parent() {
                    fs::create_dir_all(above)?;
                }
                if job == "extract" {
                    fs::write(path, backup.decrypt_entry(&entry)?)?;
                } else {
                    let mut payload = backup.decrypt_entry_stream(&entry)?;
                    io::copy(&mut payload, &mut BufWriter::new(File::create(path)?))?;
                }
            }
            Ok(())
        }
        _ => Err("open | list | extract | extract-streams".into()),
    }
}
