//! Nearest right name for a wrong one.

/// Returns the name among `names` that `wrong` was most likely meant to be, if one is near enough.
fn nearest<'a>(wrong: &str, names: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('_', "-");
    let wrong = plain(wrong);
    let distance = |name: &&str| strsim::damerau_levenshtein(&wrong, &plain(name));
    let best = names.iter().copied().min_by_key(distance)?;
    // A third of the letters may be wrong: more is another word.
    let near = distance(&best) <= wrong.chars().count().max(best.chars().count()).div_ceil(3);
    near.then_some(best)
}

/// Returns the words that lead from a wrong name to a right one.
pub(super) fn hint(wrong: &str, names: &[&str]) -> String {
    match nearest(wrong, names) {
        Some(best) => format!("did you mean {best:?}?"),
        None => format!("there are: {}", names.join(", ")),
    }
}
