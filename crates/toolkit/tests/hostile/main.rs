//! Input that means harm: every one-fault case, every prefix and every changed byte of the small
//! formats, random damage to the catalogs, and names that want out of the destination.
//!
//! Everything is seeded, so a failure is one that comes back.

mod cases;
