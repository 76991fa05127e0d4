//! Files of `NAME=VALUE` lines, as compose reads them.

use anyhow::{Context as _, bail};
use std::path::Path;

/// Reads a file; names the line that cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { bail!("line {}: expected NAME=VALUE", number + 1) };
        let (name, value) = (name.trim(), value.trim_start());
        if name.is_empty() || name.contains(char::is_whitespace) {
            bail!("line {}: {name:?} is not a name", number + 1);
        }
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut body = value[1..].to_owned();
                while closing(&body, quote).is_none() {
                    let Some((_, more)) = lines.next() else { bail!("line {}: the quote is never closed", number + 1) };
                    body.push('\n');
                    body.push_str(more);
                }
                let end = closing(&body, quote).unwrap_or(body.len());
                if quote == '"' { unescape(&body[..end]) } else { body[..end].to_owned() }
            }
            _ => value.split_once(" #").map_or(value, |(v, _)| v).trim_end().to_owned(),
        };
        out.push((name.to_owned(), value));
    }
    Ok(out)
}

fn closing(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(i),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        let text =
            "# c\n\nA=1\nexport B = two words # no\nC=\"x\\ny\" # c\nD='a\\nb'\nE=\nF=\"first\nsecond\"\nG=a=b#c\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x\ny"),
            ("D", "a\\nb"),
            ("E", ""),
            ("F", "first\nsecond"),
            ("G", "a=b#c"),
        ];
        let found = parse(text).expect("reads");
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        for (text, expected) in
            [("A\n", "line 1: expected NAME=VALUE"), ("\nA='x\n", "line 2: the quote is never closed")]
        {
            assert_eq!(parse(text).expect_err("wrong").to_string(), expected);
        }
    }
}
