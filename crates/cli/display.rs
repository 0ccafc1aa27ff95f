//! How values are shown to a person: nothing that reaches a terminal may act on it or mislead.

mod escape;
mod size;
mod style;
mod time;

pub(crate) use escape::{Location, Name, Text};
pub(crate) use size::Size;
pub(crate) use style::{Styles, label};
pub(crate) use time::{InZone, Rfc3339, parse_zone};
