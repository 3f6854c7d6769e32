//! Reading of TOML values that have places: a wrong one is noted, and reading goes on, so that all errors are found.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::hint;
use super::problem::{Place, Problem};

/// Value with its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// Longest time that a policy may state. Longer ones are mistakes, and sums of times stay far from overflow.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Table whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    /// Name in messages, such as `[host]`.
    name: &'static str,
    fields: &'a DeTable<'a>,
    /// Offset of the table in the text.
    offset: usize,
}

impl<'a> Table<'a> {
    /// Returns the value of a key.
    pub(super) fn get(self, key: &str) -> Option<&'a Value<'a>> {
        self.fields.get(key)
    }

    /// Returns the offset of the table in the text.
    pub(super) fn offset(self) -> usize {
        self.offset
    }
}

/// Reader of a file.
pub(super) struct Reader<'f> {
    file: &'f Path,
    text: &'f str,
    /// Errors so far.
    pub(super) errors: Vec<Problem>,
    /// Warnings so far.
    pub(super) warnings: Vec<Problem>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f Path, text: &'f str) -> Self {
        Self { file, text, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Returns the place of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> Place {
        Place::at(self.file, self.text, offset)
    }

    /// Notes an error.
    pub(super) fn error(&mut self, offset: usize, text: impl Into<String>) {
        let place = self.place(offset);
        self.errors.push(Problem { place, text: text.into() });
    }

    /// Notes a warning.
    pub(super) fn warn(&mut self, offset: usize, text: impl Into<String>) {
        let place = self.place(offset);
        self.warnings.push(Problem { place, text: text.into() });
    }

    /// Notes that a value has the wrong type.
    fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(begin(value), format!("this is {found}; {wanted} is wanted"));
    }

    /// Checks the keys of a table that begins at `span`.
    pub(super) fn fields<'a>(
        &mut self,
        name: &'static str,
        fields: &'a DeTable<'a>,
        span: Range<usize>,
        keys: &[&str],
    ) -> Table<'a> {
        for key in fields.keys() {
            let found: &str = key.get_ref();
            if !keys.contains(&found) {
                self.error(key.span().start, format!("unknown key {found:?} in {name}; {}", hint(found, keys)));
            }
        }
        Table { name, fields, offset: span.start }
    }

    /// Reads a table and checks its keys.
    pub(super) fn table<'a>(&mut self, name: &'static str, value: &'a Value<'a>, keys: &[&str]) -> Option<Table<'a>> {
        if let DeValue::Table(fields) = value.get_ref() {
            return Some(self.fields(name, fields, value.span(), keys));
        }
        self.wrong_type(value, "a table");
        None
    }

    /// Reads a table under a key, if it is there.
    pub(super) fn table_at<'a>(
        &mut self,
        table: Table<'a>,
        key: &str,
        name: &'static str,
        keys: &[&str],
    ) -> Option<Table<'a>> {
        self.table(name, table.get(key)?, keys)
    }

    /// Reads a list. Returns its values.
    pub(super) fn list<'a>(&mut self, value: &'a Value<'a>, wanted: &str) -> Option<&'a [Value<'a>]> {
        if let DeValue::Array(values) = value.get_ref() {
            return Some(&values[..]);
        }
        self.wrong_type(value, wanted);
        None
    }

    /// Returns the value of a key that must be there. `why` says what it is for.
    pub(super) fn required<'a>(&mut self, table: Table<'a>, key: &str, why: &str) -> Option<&'a Value<'a>> {
        let value = table.get(key);
        if value.is_none() {
            self.error(table.offset, format!("{} has no {key:?}: {why}", table.name));
        }
        value
    }

    /// Reads a text.
    pub(super) fn text<'a>(&mut self, value: &'a Value<'a>) -> Option<&'a str> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text);
        }
        self.wrong_type(value, "a text");
        None
    }

    /// Reads a list of texts. With `lone`, a single text stands for a list of one.
    pub(super) fn texts<'a>(&mut self, value: &'a Value<'a>, lone: bool) -> Vec<(&'a str, usize)> {
        if lone && let DeValue::String(text) = value.get_ref() {
            return vec![(text, begin(value))];
        }
        let wanted = if lone { "a text or a list of texts" } else { "a list of texts" };
        let values = self.list(value, wanted).unwrap_or_default();
        values.iter().filter_map(|value| Some((self.text(value)?, begin(value)))).collect()
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, value: &Value<'_>) -> Option<bool> {
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        self.wrong_type(value, "true or false");
        None
    }

    /// Reads a number within `range`.
    pub(super) fn number(&mut self, value: &Value<'_>, range: RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(value, "a number");
            return None;
        };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let right = read.filter(|number| range.contains(number));
        if right.is_none() {
            let (least, most) = range.into_inner();
            self.error(begin(value), format!("the number {number} is not within {least} to {most}"));
        }
        right
    }

    /// Reads a time such as `"90s"`. `zero` tells whether none at all is allowed.
    pub(super) fn time(&mut self, value: &Value<'_>, zero: bool) -> Option<Duration> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(value, "a time such as \"90s\", \"5m\" or \"24h\"");
            return None;
        };
        let error = match humantime::parse_duration(text) {
            Ok(time) if time > LONGEST => "a time is at most 366 days".to_owned(),
            Ok(time) if time.is_zero() && !zero => "the time must not be zero".to_owned(),
            Ok(time) => return Some(time),
            Err(error) => format!("{text:?} is no time: {error}; write \"90s\", \"5m\" or \"24h\""),
        };
        self.error(begin(value), error);
        None
    }

    /// Reads a name out of `choices`. `kind` says in messages to what kind the names belong.
    pub(super) fn choice<T: Copy>(&mut self, kind: &str, value: &Value<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(value)?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.error(begin(value), format!("{text:?} is no {kind}; {}", hint(text, &names)));
        }
        found.map(|(_, choice)| *choice)
    }
}

/// Returns the offset of a value in the text.
pub(super) fn begin(value: &Value<'_>) -> usize {
    value.span().start
}
