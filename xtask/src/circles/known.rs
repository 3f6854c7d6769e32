//! Circles that were there when they were first counted. They may shrink and go, and never grow. None is left.

/// Crates with circles that are too large, and how many files each of these has, the largest first. Each row has to be
/// exact: a change that makes a circle smaller lowers the number, and a change that cuts it removes the row.
pub(super) const KNOWN: &[(&str, &[usize])] = &[];

/// What is to be said of the circles of a crate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// No circle is too large.
    Free,
    /// The circles that are too large are the known ones.
    Known,
    /// A circle is not known, or has grown.
    Grown,
    /// A known circle has become smaller or is gone, so the list is out of date.
    Shrunk,
}

impl Verdict {
    /// What is wrong with crate `name`, in one line; `None` if nothing is.
    pub(super) fn error(self, name: &str, sizes: &[usize], known: &[usize]) -> Option<String> {
        let sizes = listed(sizes);
        match (self, known) {
            (Self::Free | Self::Known, _) => None,
            (Self::Grown, []) => Some(format!("{name} has circles of {sizes} files; two are allowed")),
            (Self::Grown, known) => {
                Some(format!("{name}'s circles have grown from {} to {sizes} files", listed(known)))
            }
            (Self::Shrunk, known) => {
                let was = listed(known);
                Some(format!(
                    "{name}'s circles of {was} files have shrunk to {sizes}: say so in xtask/src/circles/known.rs"
                ))
            }
        }
    }
}

/// Compares the sizes of the circles of a crate that are too large with its row in the list, both the largest first. Grown
/// is a circle larger than the largest known, or more files in circles than known: a circle that falls apart has shrunk.
pub(super) fn judge(sizes: &[usize], known: &[usize]) -> Verdict {
    let total = |sizes: &[usize]| sizes.iter().sum::<usize>();
    let grown = sizes.first() > known.first() || total(sizes) > total(known);
    match (sizes, grown) {
        (_, true) => Verdict::Grown,
        (sizes, false) if sizes != known => Verdict::Shrunk,
        ([], false) => Verdict::Free,
        _ => Verdict::Known,
    }
}

/// The row of this crate.
pub(super) fn sizes_of(name: &str) -> &'static [usize] {
    KNOWN.iter().find(|(known, _)| *known == name).map_or(&[], |(_, sizes)| *sizes)
}

fn listed(sizes: &[usize]) -> String {
    match sizes {
        [] => "none".to_owned(),
        sizes => sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" and "),
    }
}
