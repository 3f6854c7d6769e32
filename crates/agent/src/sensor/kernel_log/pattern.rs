//! Patterns for the begin of a message: plain text, `#` for decimal digits, and `*` for characters without white space.

/// Matches the begin of `text`, and returns the rest. `*` matches as little as possible, and at least one character.
pub(super) fn strip<'a>(text: &'a str, pattern: &str) -> Option<&'a str> {
    let wildcard = pattern.find(['#', '*']).unwrap_or(pattern.len());
    let (plain, pattern) = pattern.split_at(wildcard);
    let text = text.strip_prefix(plain)?;
    if let Some(pattern) = pattern.strip_prefix('#') {
        let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        return (end > 0).then(|| strip(&text[end..], pattern))?;
    }
    let Some(pattern) = pattern.strip_prefix('*') else { return Some(text) };
    let next = &pattern[..pattern.find(['#', '*']).unwrap_or(pattern.len())];
    let word = &text[..text.find(char::is_whitespace).unwrap_or(text.len())];
    let mut ends = word.char_indices().map(|(at, character)| at + character.len_utf8());
    let end = ends.find(|end| text[*end..].starts_with(next))?;
    strip(&text[end..], pattern)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_the_begin() {
        for (text, pattern, rest) in [
            ("GPU reset(12) failed", "GPU reset(#) ", Some("failed")),
            ("GPU reset() failed", "GPU reset(#) ", None),
            ("ring gfx_0.0.0 timeout, x", "ring * timeout", Some(", x")),
            ("ring gfx 0 timeout", "ring * timeout", None),
            ("poll_health:818:(pid 0): x", "*:#:(pid #): ", Some("x")),
            ("Slot(4-1): Link Down", "Slot(*): Link Down", Some("")),
            ("Slot(): Link Down", "Slot(*): Link Down", None),
            ("é", "*", Some("")),
            ("a", "", Some("a")),
            ("", "*", None),
        ] {
            assert_eq!(strip(text, pattern), rest, "{text:?} by {pattern:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", pattern in "[#*a-c: ]{0,10}") {
            let _ = strip(&text, &pattern);
        }
    }
}
