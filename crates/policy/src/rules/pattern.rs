//! One pattern: `DOMAIN:PATH`.

use globset::{Candidate, GlobBuilder, GlobMatcher};

use crate::PolicyError;

/// The longest pattern, in bytes: twice the longest path, so that every character of one can be
/// escaped.
const LONGEST: usize = 2 * (bkp_core::limits::PATH + bkp_core::limits::DOMAIN);
/// The most braces within braces.
const DEEPEST: usize = 16;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    domain: Matcher,
    path: Matcher,
    /// Matches what lies below `path`, when that is more than `path` matches itself.
    below: Option<Matcher>,
}

impl Pattern {
    pub(super) fn new(text: &str, ignore_case: bool) -> Result<Self, PolicyError> {
        let pattern = || text.into();
        if text.len() > LONGEST {
            return Err(too_long(text));
        }
        let pieces = Piece::scan(text)?;
        let mut halves = pieces.splitn(2, |(_, piece)| *piece == Piece::Colon);
        let domain = halves.next().unwrap_or_default();
        let path = halves.next().unwrap_or_default();
        let colon = pieces.iter().find(|(_, piece)| *piece == Piece::Colon).map(|&(at, _)| at);
        let (domain_text, path_text) = colon
            .and_then(|at| Some((text.get(..at)?, text.get(at..)?.get(1..)?)))
            .unwrap_or((text, ""));
        if domain.is_empty() {
            return Err(PolicyError::NoDomain { pattern: pattern() });
        }
        if domain.iter().any(|(_, piece)| *piece == Piece::Char('/')) {
            return Err(PolicyError::PathWithoutDomain { pattern: pattern() });
        }

        // `a/` is `a`: a directory, named by a person or completed by a shell.
        let (path, path_text) = match path {
            [rest @ .., (_, Piece::Char('/'))] => {
                let text = path_text.strip_suffix('/').unwrap_or(path_text);
                (rest, text.strip_suffix('\\').unwrap_or(text))
            }
            whole => (whole, path_text),
        };
        let compile = |glob: &str, pieces: &[(usize, Piece)]| {
            Matcher::new(glob, pieces, ignore_case)
                .map_err(|source| PolicyError::Pattern { pattern: pattern(), source })
        };
        let domain = match domain_text {
            // A domain holds no slash that a star could stop at.
            "*" => Matcher::Any,
            _ => compile(domain_text, domain)?,
        };
        if path.is_empty() {
            // Either a domain alone, or its root and so everything below.
            return Ok(Self { domain, path: Matcher::Any, below: None });
        }
        let names_a_place = path
            .rsplit(|(_, piece)| *piece == Piece::Char('/'))
            .next()
            .is_some_and(|last| last.iter().all(|(_, piece)| matches!(piece, Piece::Char(_))));
        let path = compile(path_text, path)?;
        let below = match &path {
            Matcher::Glob { .. } if names_a_place => {
                Some(compile(&format!("{path_text}/**"), &[(0, Piece::Glob)])?)
            }
            _ => None,
        };
        Ok(Self { domain, path, below })
    }

    /// Compiles the pattern of a place in a domain, or without a domain in any.
    pub(super) fn of_place(text: &str, ignore_case: bool) -> Result<Self, PolicyError> {
        if Piece::scan(text)?.iter().any(|(_, piece)| *piece == Piece::Colon) {
            return Self::new(text, ignore_case);
        }
        Self::new(&format!("*:{}", text.strip_prefix('/').unwrap_or(text)), ignore_case)
    }

    pub(super) fn matches_domain(&self, domain: &[u8]) -> bool {
        self.domain.matches_whole(domain)
    }

    /// Returns true when the path itself matches, and not only one above it.
    pub(super) fn matches_path_itself(&self, path: &[u8]) -> bool {
        self.path.matches_whole(path)
    }

    pub(super) fn matches_path(&self, path: &[u8]) -> bool {
        self.path.matches_at_or_below(path)
            || self.below.as_ref().is_some_and(|below| below.matches_whole(path))
    }
}

fn too_long(text: &str) -> PolicyError {
    PolicyError::PatternTooLong { length: text.len(), most: LONGEST, depth: DEEPEST }
}

/// A compiled pattern for the last component of a path.
#[derive(Debug)]
pub(super) struct NamePattern(Matcher);

impl NamePattern {
    /// Compiles a pattern, or returns nothing when its `:` or `/` say that it means more than a
    /// name.
    pub(super) fn new(text: &str, ignore_case: bool) -> Result<Option<Self>, PolicyError> {
        if text.len() > LONGEST {
            return Err(too_long(text));
        }
        let pieces = Piece::scan(text)?;
        let beyond = |piece| matches!(piece, Piece::Colon | Piece::Char('/'));
        if pieces.iter().any(|&(_, piece)| beyond(piece)) {
            return Ok(None);
        }
        let matcher = Matcher::new(text, &pieces, ignore_case)
            .map_err(|source| PolicyError::Pattern { pattern: text.into(), source })?;
        Ok(Some(Self(matcher)))
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.0.matches_whole(name)
    }
}

/// What one half of a pattern matches.
#[derive(Debug)]
enum Matcher {
    Any,
    /// No glob characters: compared as bytes, which is several times faster than a glob.
    Literal {
        name: Box<[u8]>,
        ignore_case: bool,
    },
    /// A glob with what a name must begin and end with, which rules out most names at once.
    Glob {
        start: Box<[u8]>,
        end: Box<[u8]>,
        glob: Box<GlobMatcher>,
        ignore_case: bool,
    },
}

impl Matcher {
    fn new(
        glob: &str,
        pieces: &[(usize, Piece)],
        ignore_case: bool,
    ) -> Result<Self, globset::Error> {
        if glob == "**" {
            return Ok(Self::Any);
        }
        let literal: Option<String> = pieces.iter().map(|(_, piece)| piece.literal()).collect();
        if let Some(name) = literal {
            return Ok(Self::Literal { name: name.into_bytes().into(), ignore_case });
        }
        let glob = GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .case_insensitive(ignore_case)
            .build()?;
        let start: String = pieces.iter().map_while(|(_, piece)| piece.literal()).collect();
        let mut end: Vec<char> =
            pieces.iter().rev().map_while(|(_, piece)| piece.literal()).collect();
        // The slash of `**/a` is part of what `**` stands for, and need not be there.
        if end.last() == Some(&'/') {
            end.pop();
        }
        Ok(Self::Glob {
            start: start.into_bytes().into(),
            end: end.into_iter().rev().collect::<String>().into_bytes().into(),
            glob: glob.compile_matcher().into(),
            ignore_case,
        })
    }

    fn matches_whole(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Literal { name: wanted, ignore_case: false } => **wanted == *name,
            Self::Literal { name: wanted, ignore_case: true } => wanted.eq_ignore_ascii_case(name),
            Self::Glob { start, end, glob, ignore_case } => {
                let same = |stretch: Option<&[u8]>, wanted: &[u8]| match stretch {
                    Some(stretch) if *ignore_case => stretch.eq_ignore_ascii_case(wanted),
                    Some(stretch) => stretch == wanted,
                    None => false,
                };
                let tail = name.len().checked_sub(end.len()).and_then(|at| name.get(at..));
                same(name.get(..start.len()), start)
                    && same(tail, end)
                    && glob.is_match_candidate(&Candidate::from_bytes(name))
            }
        }
    }

    /// As `matches_whole`; a literal also matches what lies below it.
    fn matches_at_or_below(&self, path: &[u8]) -> bool {
        let Self::Literal { name, .. } = self else { return self.matches_whole(path) };
        match path.split_at_checked(name.len()) {
            Some((above, [] | [b'/', ..])) => self.matches_whole(above),
            _ => false,
        }
    }
}

/// A stretch of a pattern, as the glob syntax sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Piece {
    /// Stands for itself, escaped or not.
    Char(char),
    /// The first colon that is neither escaped nor in a class nor in braces.
    Colon,
    /// Anything that is matched and not compared.
    Glob,
}

impl Piece {
    fn literal(&self) -> Option<char> {
        if let Self::Char(c) = self { Some(*c) } else { None }
    }

    /// Splits a pattern, with the place in it at which each piece begins. Errors of the syntax
    /// are left to the glob compiler, which says what they are.
    fn scan(text: &str) -> Result<Vec<(usize, Self)>, PolicyError> {
        let mut pieces = Vec::with_capacity(text.len());
        let mut chars = text.char_indices();
        let (mut depth, mut colon) = (0usize, false);
        while let Some((at, c)) = chars.next() {
            let piece = match c {
                '\\' => match chars.next() {
                    Some((_, c)) if depth == 0 => Self::Char(c),
                    _ => Self::Glob,
                },
                '[' => {
                    let rest = chars.as_str();
                    if let Some(class) = class_length(rest).and_then(|length| rest.get(..length)) {
                        if !class.is_ascii() {
                            return Err(PolicyError::ClassNotAscii { pattern: text.into() });
                        }
                        for _ in class.bytes() {
                            chars.next();
                        }
                    }
                    Self::Glob
                }
                '{' => {
                    depth = depth.saturating_add(1);
                    if depth > DEEPEST {
                        return Err(too_long(text));
                    }
                    Self::Glob
                }
                '}' => {
                    depth = depth.saturating_sub(1);
                    Self::Glob
                }
                '*' | '?' => Self::Glob,
                _ if depth > 0 => Self::Glob,
                ':' if !colon => {
                    colon = true;
                    Self::Colon
                }
                c => Self::Char(c),
            };
            pieces.push((at, piece));
        }
        Ok(pieces)
    }
}

/// Returns the bytes up to and with the `]` that ends a class, given what follows its `[`. A `]`
/// that comes first is a member.
fn class_length(rest: &str) -> Option<usize> {
    let negated = usize::from(rest.starts_with(['!', '^']));
    let members = rest.get(negated..)?;
    let first = members.chars().next()?.len_utf8();
    let end = members.get(first..)?.find(']')?;
    negated.checked_add(first)?.checked_add(end)?.checked_add(1)
}
