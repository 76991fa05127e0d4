//! Columns as kubectl prints them: three blanks apart, nothing trailing.

/// Rows under headers, each line with its line feed.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headers.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headers: Vec<String> = headers.iter().map(|h| (*h).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&headers).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}   "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How long ago, as kubectl says it: `45s`, `12m`, `5h`, `3d`.
pub fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = vec![vec!["a".into(), "long one".into(), String::new()], vec!["bcd".into(), "x".into(), "y".into()]];
        assert_eq!(table(&["N", "M", "O"], &rows), "N     M          O\na     long one\nbcd   x          y\n");
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [(-3, "0s"), (45, "45s"), (130, "2m"), (7300, "2h"), (200_000, "2d")] {
            assert_eq!(age(seconds), text);
        }
    }
}
