//! What subcommands print.

use std::io::{self, ErrorKind, Write};

/// Standard output, which whoever reads it may close at any time.
pub(crate) struct Output<'a> {
    to: &'a mut (dyn Write + Send),
}

/// Whether there is still somebody who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// There is.
    Listens,
    /// `head` and the like have seen enough; nothing is wrong.
    Left,
}

impl<'a> Output<'a> {
    pub(crate) fn new(to: &'a mut (dyn Write + Send)) -> Self {
        Self { to }
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> io::Result<Reader> {
        let line = format!("{}\n", line.as_ref());
        gone_is_fine(self.to.write_all(line.as_bytes()))
    }

    /// Lets everything that was printed be seen.
    pub(crate) fn flush(&mut self) -> io::Result<Reader> {
        gone_is_fine(self.to.flush())
    }

    /// Prints rows under headings, each column as wide as it must be.
    pub(crate) fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([headings[column].len()]).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..headings.len()).map(width).collect();
        let headings = headings.iter().map(|it| (*it).to_owned()).collect();
        for row in std::iter::once(&headings).chain(rows) {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            if self.line(cells.join("  ").trim_end())? == Reader::Left {
                break;
            }
        }
        Ok(())
    }
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<Reader> {
    match result {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Left),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        assert_eq!(Output::new(&mut Closed).line("x").expect("no error"), Reader::Left);
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut text = Vec::new();
        let rows = [vec!["Products".to_owned(), "7".to_owned()], vec!["É".to_owned(), "12".to_owned()]];
        Output::new(&mut text).table(&["NAME", "LAG"], &rows).expect("written");
        assert_eq!(String::from_utf8(text).expect("text"), "NAME      LAG\nProducts  7\nÉ         12\n");
    }
}
