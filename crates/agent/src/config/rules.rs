//! Rules in their order, and the answer to "why this rule?".

use super::matcher::Subject;
use super::rule::Rule;

/// Rule of a device, and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'a> {
    /// First rule that matches. `None`: the device is not the daemon's business.
    pub rule: Option<&'a Rule>,
    /// The other rules, in their order, each with the reason against it.
    pub why_not: Vec<(&'a Rule, String)>,
}

/// Rules in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules(pub(super) Vec<Rule>);

impl Rules {
    /// Returns the rules in the order in which they are tried.
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// Chooses the rule for a device: the first that matches.
    pub fn matching(&self, subject: &Subject) -> Match<'_> {
        let mut found = Match { rule: None, why_not: Vec::new() };
        for rule in &self.0 {
            match (rule.matcher.why_not(subject), found.rule) {
                (Some(reason), _) => found.why_not.push((rule, reason)),
                (None, Some(first)) => {
                    found.why_not.push((rule, format!("rule {:?} matches first", first.policy.name)));
                }
                (None, None) => found.rule = Some(rule),
            }
        }
        found
    }
}
