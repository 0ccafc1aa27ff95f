//! `bkp`: the command line.

fn main() {}
