//! Patterns of shell kind for ids, slots and names: `*` is any text, `?` is any character, others are themselves.

use std::fmt;

/// Pattern. Upper and lower case are the same: sysfs writes hexadecimal digits in lower case, people do not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// Creates the pattern `text`.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Tells whether the pattern matches the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.0, &text.to_lowercase())
    }

    /// Tells whether the pattern surely matches everything that `other` matches. May say no where it does.
    pub fn covers(&self, other: &Self) -> bool {
        // The other pattern is taken as a text. A `*` stands for more than one character, so that only a `*` matches it.
        let text: Vec<char> = other.0.chars().collect();
        covers(&self.0.chars().collect::<Vec<_>>(), &text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    walk(&pattern, &text, |wanted, found| wanted == '?' || wanted == found)
}

fn covers(pattern: &[char], text: &[char]) -> bool {
    walk(pattern, text, |wanted, found| found != '*' && (wanted == '?' || wanted == found))
}

/// Walks through the text once; after a mismatch, the last `*` takes one character more. Takes at most the product of
/// both lengths.
fn walk(pattern: &[char], text: &[char], same: impl Fn(char, char) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if same(*wanted, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}
