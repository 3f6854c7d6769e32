//! The figures as a picture: one bar for each benchmark at the first count, ours in colour.

use std::path::Path;

use svg::Document;
use svg::node::element::{Rectangle, Text};

use super::Group;
use super::measured::Measured;

const WIDTH: f64 = 720.0;
const ROW: f64 = 24.0;
/// Where the bars begin: names stand to the left of it.
const LEFT: f64 = 230.0;
/// What is kept for the figures at the bars' ends.
const RIGHT: f64 = 70.0;
const OURS: &str = "#1f6f8b";
const PEER: &str = "#b8c4cc";

/// Draws it.
pub(super) fn write(path: &Path, group: &Group, rows: &[Measured]) -> Result<(), String> {
    svg::save(path, &draw(group, rows)).map_err(|error| format!("{}: {error}", path.display()))
}

#[allow(clippy::cast_precision_loss)] // a handful of rows
fn draw(group: &Group, rows: &[Measured]) -> Document {
    let first = rows.first().and_then(|row| row.count);
    let rows: Vec<_> = rows.iter().filter(|row| row.count == first).collect();
    let longest = rows.iter().map(|row| row.ns).fold(f64::MIN_POSITIVE, f64::max);
    let height = ROW * (rows.len() as f64 + 1.3);
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("font-family", "sans-serif")
        .set("font-size", 13)
        // White behind it, for readers whose page is dark.
        .add(Rectangle::new().set("width", WIDTH).set("height", height).set("fill", "white"))
        .add(text(8.0, ROW * 0.75, "start", &format!("{}, ns", group.title)));
    for (number, row) in rows.iter().enumerate() {
        let at = ROW * (number as f64 + 1.7);
        let colour = if group.ours.contains(&row.name.as_str()) { OURS } else { PEER };
        let length = row.ns / longest * (WIDTH - LEFT - RIGHT);
        let bar =
            Rectangle::new().set("x", LEFT).set("y", at - ROW * 0.6).set("width", length).set("height", ROW * 0.7);
        document = document.add(bar.set("fill", colour)).add(text(LEFT - 8.0, at, "end", &row.name)).add(text(
            LEFT + length + 6.0,
            at,
            "start",
            &format!("{:.2}", row.ns),
        ));
    }
    document
}

fn text(x: f64, y: f64, anchor: &str, content: &str) -> Text {
    Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor).set("fill", "#222222")
}
