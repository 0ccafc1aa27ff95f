//! `bkp`: the command line. Everything it does is in the library crates.

#![forbid(unsafe_code)]

mod app;
mod args;
mod commands;
mod destination;
mod display;
mod error;
mod explain;
mod found;
mod json;
mod listing;
mod open;
mod password;
mod problems;
mod progress;
mod record;
mod report;
mod rewriting;
mod rules;
mod seal;
mod signals;
mod staging;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main(std::env::args_os())
}
