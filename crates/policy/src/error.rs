//! Why rules, policies and what they are made of cannot be used.

use bkp_core::Fault;

/// A rule, a rule file, a filter, a policy file or a file that it names could not be understood.
/// Always the caller's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A pattern is not a valid glob.
    #[error("the pattern {pattern:?} is not a valid glob")]
    Pattern {
        /// The pattern as it was written.
        pattern: Box<str>,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// A pattern names no domain.
    #[error("the pattern {pattern:?} names no domain: write *:PATH for every domain")]
    NoDomain {
        /// The pattern as it was written.
        pattern: Box<str>,
    },
    /// A pattern's domain holds `/`, which no domain does.
    #[error(
        "the pattern {pattern:?} has a / in its domain: write DOMAIN:PATH, or *:PATH for every domain"
    )]
    PathWithoutDomain {
        /// The pattern as it was written.
        pattern: Box<str>,
    },
    /// A pattern has a class such as `[é]`, which would match bytes and not the character.
    #[error(
        "the pattern {pattern:?} has a class with characters beyond ASCII: use {{a,b}} instead"
    )]
    ClassNotAscii {
        /// The pattern as it was written.
        pattern: Box<str>,
    },
    /// A pattern is longer, or nests braces deeper, than any name needs.
    #[error(
        "a pattern of {length} bytes is too long or too deeply nested (limits: {most} bytes, {depth} braces)"
    )]
    PatternTooLong {
        /// Bytes of the pattern.
        length: usize,
        /// The most bytes that are accepted.
        most: usize,
        /// The most nested braces that are accepted.
        depth: usize,
    },
    /// There are more rules than are accepted.
    #[error("more than {most} rules")]
    TooManyRules {
        /// The most that are accepted.
        most: usize,
    },
    /// A line of a rule file is no rule.
    #[error("{file}, line {line}: a rule is \"+ PATTERN\" or \"- PATTERN\", or a comment after #")]
    NotARule {
        /// The file, as the caller named it.
        file: Box<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// A line of a rule file is not UTF-8.
    #[error("{file}, line {line}: not UTF-8")]
    NotText {
        /// The file, as the caller named it.
        file: Box<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// A rule of a rule file cannot be used.
    #[error("{file}, line {line}: bad rule")]
    Line {
        /// The file, as the caller named it.
        file: Box<str>,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with the rule.
        #[source]
        source: Box<PolicyError>,
    },
    /// A range that no entry can be in.
    #[error("no {what} is in the range {from} to {to}")]
    EmptyRange {
        /// What is measured: `size` or `time`.
        what: &'static str,
        /// The lower end.
        from: i128,
        /// The upper end.
        to: i128,
    },
    /// A file is longer than is ever read.
    #[error("{file}: {length} bytes are too many (limit: {most})")]
    FileTooLong {
        /// The file, as the caller named it.
        file: Box<str>,
        /// Its bytes.
        length: usize,
        /// The most that are read.
        most: usize,
    },
    /// A policy file is no TOML.
    #[error("{file}, line {line}: not TOML: {message}")]
    PolicySyntax {
        /// The file, as the caller named it.
        file: Box<str>,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: Box<str>,
    },
    /// A policy file has a key that it should not have, or a value that a key cannot have.
    #[error("{file}, line {line}: {key}: {what}")]
    PolicyKey {
        /// The file, as the caller named it.
        file: Box<str>,
        /// The line, counted from 1.
        line: usize,
        /// The key, with the tables it is in: `target.serial`, `app.flags`.
        key: Box<str>,
        /// What is wrong with it.
        what: Box<str>,
    },
    /// The target that was given is another one than the policy file names.
    #[error("the policy file names {stated:?} as the target's {what}, and {given:?} was given")]
    OtherTarget {
        /// `serial number` or `UDID`.
        what: &'static str,
        /// What the policy file states.
        stated: Box<str>,
        /// What was given.
        given: Box<str>,
    },
    /// A file is no configuration profile.
    #[error("{file}: no configuration profile: {what} (offset {offset})")]
    NotAProfile {
        /// The file, as the caller named it.
        file: Box<str>,
        /// What is wrong with it.
        what: &'static str,
        /// The byte of the file.
        offset: usize,
    },
    /// A file is no answer to an MDM command.
    #[error("{file}: no answer to {command}: it {what}")]
    NotAnAnswer {
        /// The file, as the caller named it.
        file: Box<str>,
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A word that is no type of entry.
    #[error("{word:?} is no type: use file, directory or symlink")]
    UnknownType {
        /// The word.
        word: Box<str>,
    },
}

impl Fault for PolicyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Pattern { .. }
            | Self::NoDomain { .. }
            | Self::PathWithoutDomain { .. }
            | Self::ClassNotAscii { .. } => "bad-pattern",
            Self::PatternTooLong { .. } | Self::TooManyRules { .. } => "rule-limit",
            Self::NotARule { .. } | Self::NotText { .. } | Self::Line { .. } => "bad-rule-file",
            Self::FileTooLong { .. } => "policy-limit",
            Self::PolicySyntax { .. } | Self::PolicyKey { .. } => "bad-policy-file",
            Self::OtherTarget { .. } => "other-target",
            Self::NotAProfile { .. } => "bad-profile",
            Self::NotAnAnswer { .. } => "bad-mdm-answer",
            Self::EmptyRange { .. } | Self::UnknownType { .. } => "bad-filter",
        }
    }
}
