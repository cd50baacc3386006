//! Text for people: cleaned of control characters, in columns, with colours only on a terminal.

use std::fmt::Write as _;
use std::io::Write;

use crate::failure::Failure;

/// Writes to stdout; colours are taken out when it is no terminal.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes an answer of the server as it came.
pub(crate) fn print_json(body: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(body)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Text from a span, made harmless: a span must not move the reader's cursor.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// At most `width` characters, with an ellipsis when some are missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}\u{2026}")
}

/// How many characters a line may have.
pub(crate) fn width() -> usize {
    const DEFAULT: usize = 120;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(DEFAULT).clamp(60, 400)
}

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells in columns as wide as their widest cell. The last column may be of any length.
pub(crate) fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    const CELL_WIDTH_MAX: usize = 60;
    let last = columns.len().saturating_sub(1);
    let shown = |column: usize, cell: &str| {
        if column == last { cell.to_owned() } else { cut(cell, CELL_WIDTH_MAX) }
    };
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(column, (title, _))| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| shown(column, cell).chars().count()).max().unwrap_or(0);
            widest.max(title.len())
        })
        .collect();
    let mut text = String::new();
    let titles: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let (cell, width) = (shown(column, cell), widths[column]);
            let _ = match columns[column].1 {
                Align::Left => write!(line, "{cell:<width$}  "),
                Align::Right => write!(line, "{cell:>width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            [vec!["web".to_owned(), "5".to_owned()], vec!["checkout".to_owned(), "12".to_owned()]];
        let text = table(&[("NAME", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(text, "NAME       N\nweb        5\ncheckout  12\n");
    }

    #[test]
    fn a_span_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
        assert_eq!(cut("abcdef", 4), "abc\u{2026}");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
