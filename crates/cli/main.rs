//! `bkp`: the command line. Everything it does is in the library crates.

#![forbid(unsafe_code)]

mod app;
mod args;
mod commands;
mod display;
mod error;
mod json;
mod listing;
mod open;
mod password;
mod problems;
mod progress;
mod record;
mod report;
mod rules;
mod signals;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main(std::env::args_os())
}
