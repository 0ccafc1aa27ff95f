//! Input that means harm: every one-fault case, every prefix and every changed byte of the small
//! formats, random damage to the catalogs, and names that want out of the destination.
//!
//! Everything is seeded, so a failure is one that comes back.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod noise;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod sweeps;
