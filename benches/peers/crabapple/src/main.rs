//! What `benches/throughput.rs` asks of the crabapple library.
//!
//! ```text
//! crabapple-peer open | list | extract BACKUP PASSWORD [OUT]
//! ```

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crabapple::{Authentication, Backup};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [job, folder, password, rest @ ..] = args.as_slice() else {
        return Err("open | list | extract BACKUP PASSWORD [OUT]".into());
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
        ("extract", [out]) => {
            for entry in backup.entries()?.into_iter().filter(|entry| entry.flags == 1) {
                let path = Path::new(out).join(&entry.domain).join(&entry.relative_path);
                if let Some(above) = path.parent() {
                    fs::create_dir_all(above)?;
                }
                let mut payload = backup.decrypt_entry_stream(&entry)?;
                io::copy(&mut payload, &mut BufWriter::new(File::create(path)?))?;
            }
            Ok(())
        }
        _ => Err("open | list | extract".into()),
    }
}
