//! What a synthetic backup holds: names, sizes, bytes and metadata, all of them from a seed.
//!
//! ```text
//! SynthSpec ──▶ Plan ──▶ rows()      every row in catalog order: roots, folders, entries
//!  seed          │ entry(n)          one entry, a function of n alone, on any thread
//!  files, total  │ counts()          what there is, before anything is written
//!  sizes, rows   │ device()          whose backup it is
//!                └▶ Pools ──▶ open   the bytes of a file, as a stream that holds none of them
//! ```
//!
//! Nothing here knows how a backup is stored. There is no catalog, no key and no property list,
//! and no other `bkp` crate is used. So two writers that share no code can write the same plan,
//! and one can be held against the other.
//!
//! A keychain is made of wrapped keys. A writer that can make one hands it in.
//!
//! ```
//! use std::io::Read as _;
//!
//! use bkp_synth::{Node, Plan, Pools, SynthSpec};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spec = SynthSpec { files: 3, total: Some(1_000), ..SynthSpec::new(7) };
//! let plan = Plan::new(&spec, None)?;
//! let pools = Pools::new(plan.seed());
//! let mut content = Vec::new();
//! for planned in plan.rows() {
//!     if let Node::File(source) = planned.node {
//!         pools.open(source).read_to_end(&mut content)?;
//!     }
//! }
//! assert_eq!(content.len(), 1_000);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod content;
mod databases;
mod device;
pub mod domain;
mod places;
mod plan;
mod seed;
mod sizes;

pub use content::{Content, Pools, Source};
pub use device::SynthDevice;
pub use plan::{Counts, Digests, Filler, Node, Plan, PlanError, Planned, Rows, SynthSpec};
pub use seed::Seed;
pub use sizes::SizeMix;
