//! Numbers in comma-separated text.

use super::Series;
use super::dates::is_date;
use super::gzip::{MAGIC, Unpacked};
use super::series::same_names;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A reader of csv files, plain or compressed with gzip: one row a time, one column a variable.
///
/// - Fields stand between commas, quoted or not, on lines that end in LF or CRLF; a quoted field ends
///   on its line. A byte order mark and empty lines at the end are skipped.
/// - The first line is a header if it holds names and no numbers, or if it holds different whole
///   numbers (the identifiers of sensors) after `date` or the like or above a line with decimals. Names
///   among other numbers are an error: such a line may as well be a row with a typo.
///   No two columns have one name.
/// - The first column is taken for dates, and kept as text, if its first value is a date or a time
///   (`2016-07-01 00:00:00`, `1.7.2016`, `12:30`, `Jan 2016`, …) that calendar and clock have, or if its name is empty, `date`,
///   `time`, `datetime` or `timestamp`. Then every row must start with a date, under such a name also
///   with a number; [`Csv::dates`] takes any text. Their order, gaps and repeats are not looked at:
///   rows are taken to follow each other.
/// - Everything else must be a finite number with a decimal point: a gap, a text, a unit, a decimal
///   comma or a separator of thousands is an error that names line and column.
///
/// The file is read line by line: what is held beside the numbers is one line (of 16 MiB at most).
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Csv {
    header: Option<bool>,
    dates: Option<bool>,
}

/// The longest line that is read.
const LINE: u64 = 1 << 24;
/// Names of a first column that holds dates, in lower case.
const DATES: [&str; 5] = ["", "date", "time", "datetime", "timestamp"];

impl Csv {
    /// A reader that sees for itself what a file has.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the first line is a header.
    pub fn header(mut self, on: bool) -> Self {
        self.header = Some(on);
        self
    }

    /// Whether the first column is dates; then it may hold any text.
    pub fn dates(mut self, on: bool) -> Self {
        self.dates = Some(on);
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged archive, bytes that are no UTF-8, a file without
    /// numbers, a first line that may be a header or not, a name that two columns have, a line of more or fewer fields than the first,
    /// and a field that is no finite number; with line and column, counted from 1.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Series> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, &e))?;
        self.read(BufReader::with_capacity(1 << 16, file), path)
    }

    /// Reads what such a file holds; `path` is what errors name.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn read(self, mut source: impl BufRead, path: impl AsRef<Path>) -> Result<Series> {
        let path = path.as_ref();
        let start = source.fill_buf().map_err(|e| Error::io(path, &e))?;
        if start.starts_with(&MAGIC) {
            let unpacked = BufReader::with_capacity(1 << 16, Unpacked::new(source));
            return self.rows(Lines::new(unpacked, path, true));
        }
        self.rows(Lines::new(source, path, false))
    }

    fn rows<R: BufRead>(self, mut lines: Lines<'_, R>) -> Result<Series> {
        let Some(first) = lines.next()?.map(<[String]>::to_vec) else {
            return Err(Error::format(lines.path, "empty, expected rows of numbers"));
        };
        let second = lines.next()?.map(<[String]>::to_vec);
        let header = self.has_header(&first, second.as_deref());
        let header = header.map_err(|wrong| lines.wrong(1, &wrong))?;
        if header {
            check_names(&first).map_err(|wrong| lines.wrong(1, &wrong))?;
        }
        let body = if header { second.as_deref() } else { Some(first.as_slice()) };
        let mut table = Table::new(&first, header, self.first_column(&first, header, body));
        if !header {
            table.push(&first).map_err(|wrong| lines.wrong(1, &wrong))?;
        }
        if let Some(second) = second {
            table.push(&second).map_err(|wrong| lines.wrong(2, &wrong))?;
        }
        loop {
            let (number, path) = (lines.number + 1, lines.path);
            let Some(fields) = lines.next()? else { break };
            table.push(fields).map_err(|wrong| named(path, number, &wrong))?;
        }
        table.finish(lines.path)
    }

    /// Whether the first line is a header, as far as that can be seen.
    fn has_header(self, first: &[String], second: Option<&[String]>) -> Result<bool, Wrong> {
        if let Some(told) = self.header {
            return Ok(told);
        }
        let dated = self.dates == Some(true) || is_date(&first[0]);
        let values = if dated && first.len() > 1 { &first[1..] } else { first };
        // No line of a file has a date where the names of its columns stand.
        let dated_row = is_date(&first[0]) && first.len() > 1;
        if !dated_row && identifiers(values, second) {
            return Ok(true);
        }
        let Some(name) = values.iter().position(|field| is_name(field)) else { return Ok(false) };
        let numbers = || values.iter().filter(|field| number(field).is_ok());
        let sure = numbers().next().is_none() && !dated_row
            || name == 0 && is_date_name(&first[0]) && different(numbers());
        if sure {
            return Ok(true);
        }
        let column = first.len() - values.len() + name;
        let detail = format!(
            "holds `{}` among numbers or dates, which may be a name or a typo; expected a header or a \
             row of numbers (`Csv::header` says which)",
            shortened(&first[column])
        );
        Err(Wrong { column: Some(column + 1), detail })
    }

    /// What the first column holds.
    fn first_column(self, first: &[String], header: bool, body: Option<&[String]>) -> FirstColumn {
        let dated = body.and_then(|row| row.first()).is_some_and(|field| is_date(field));
        match self.dates {
            Some(true) => FirstColumn::Texts,
            Some(false) => FirstColumn::Numbers,
            None if first.len() < 2 => FirstColumn::Numbers,
            None if header && is_date_name(&first[0]) => FirstColumn::DatesOrNumbers,
            None if dated => FirstColumn::Dates,
            None => FirstColumn::Numbers,
        }
    }
}

/// What a first column may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstColumn {
    /// Values like those of the other columns.
    Numbers,
    Dates,
    DatesOrNumbers,
    Texts,
}

impl FirstColumn {
    /// What is wrong with this field as the date of a row.
    fn check(self, field: &str) -> Result<(), String> {
        let expected = match self {
            Self::Texts => return Ok(()),
            _ if is_date(field) => return Ok(()),
            Self::DatesOrNumbers if number(field).is_ok() => return Ok(()),
            Self::DatesOrNumbers => "a date or a number",
            Self::Dates | Self::Numbers => "a date as in the first row",
        };
        let field = shortened(field);
        Err(format!("holds `{field}`, expected {expected} (`Csv::dates` takes any text)"))
    }
}

fn is_date_name(name: &str) -> bool {
    DATES.contains(&name.trim().to_lowercase().as_str())
}

/// Whether a field can be the name of a column and nothing else: no number, no gap, and a letter before
/// any digit.
fn is_name(field: &str) -> bool {
    let first = field.chars().find(|c| c.is_alphanumeric());
    first.is_some_and(char::is_alphabetic)
        && !is_gap(field)
        && !is_date(field)
        && field.parse::<f32>().is_err()
}

/// Refuses a name that two columns have.
fn check_names(names: &[String]) -> Result<(), Wrong> {
    let Some((first, second)) = same_names(names) else { return Ok(()) };
    let name = shortened(&names[second]);
    let detail = format!("named `{name}` like column {}, expected another name", first + 1);
    Err(Wrong { column: Some(second + 1), detail })
}

/// Whether no two fields are alike, and all are whole numbers.
fn different<'a>(fields: impl Iterator<Item = &'a String>) -> bool {
    let mut names: Vec<&String> = fields.collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    let whole = |field: &&String| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
    names.len() == count && names.iter().all(whole)
}

/// Whether the first line holds different whole numbers and the second mostly decimals.
fn identifiers(first: &[String], second: Option<&[String]>) -> bool {
    let Some(second) = second.filter(|row| row.len() >= first.len() && row.len() > 1) else {
        return false;
    };
    let second = &second[second.len() - first.len()..];
    let decimals = second.iter().filter(|field| field.contains(['.', 'e', 'E'])).count();
    first.len() > 1 && different(first.iter()) && 2 * decimals > second.len()
}

fn is_gap(field: &str) -> bool {
    field.is_empty() || ["na", "nan", "null", "n/a"].contains(&field.to_lowercase().as_str())
}

/// A field as a finite f32, or what is wrong with it.
fn number(field: &str) -> Result<f32, String> {
    if is_gap(field) {
        return Err(format!("a gap (`{field}`), expected a number"));
    }
    match field.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("`{field}`, expected a finite number")),
        Err(_) if field.contains([';', '\t']) => {
            Err(format!("`{}`, expected a number; fields stand between commas", shortened(field)))
        }
        Err(_) => Err(format!("`{}`, expected a number", shortened(field))),
    }
}

fn shortened(field: &str) -> String {
    let mut text: String = field.chars().take(40).collect();
    if text.len() < field.len() {
        text.push('…');
    }
    text
}

/// What is wrong in a line: with a column, if it is one field.
struct Wrong {
    column: Option<usize>,
    detail: String,
}

fn named(path: &Path, line: usize, wrong: &Wrong) -> Error {
    let place = wrong.column.map_or(String::new(), |column| format!(", column {column}"));
    Error::format(path, format!("line {line}{place}: {}", wrong.detail))
}

/// The rows read so far.
struct Table {
    names: Vec<String>,
    first: FirstColumn,
    dates: Option<Vec<String>>,
    values: Vec<f32>,
    /// Fields of a line.
    fields: usize,
}

impl Table {
    fn new(first: &[String], header: bool, column: FirstColumn) -> Self {
        let dates = column != FirstColumn::Numbers;
        let skipped = usize::from(dates);
        let name = |(i, name): (usize, &String)| if header { name.clone() } else { format!("{i}") };
        let columns = first.iter().skip(skipped).enumerate();
        Self {
            names: columns.map(name).collect(),
            first: column,
            dates: dates.then(Vec::new),
            values: Vec::new(),
            fields: first.len(),
        }
    }

    fn push(&mut self, fields: &[String]) -> Result<(), Wrong> {
        if fields.len() != self.fields {
            let detail = format!("{} fields, the first line has {}", fields.len(), self.fields);
            return Err(Wrong { column: None, detail });
        }
        let mut fields = fields.iter().enumerate();
        if let Some(dates) = &mut self.dates {
            for (_, date) in fields.by_ref().take(1) {
                self.first.check(date).map_err(|detail| Wrong { column: Some(1), detail })?;
                dates.push(date.clone());
            }
        }
        let first = fields.len();
        self.values.reserve(first);
        let skipped = self.fields - first;
        for (at, field) in fields {
            let value = number(field).map_err(|detail| {
                let name = self.names.get(at - skipped).map_or("", |name| name.as_str());
                Wrong { column: Some(at + 1), detail: format!("(`{name}`) holds {detail}") }
            })?;
            self.values.push(value);
        }
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<Series> {
        if self.names.is_empty() || self.values.is_empty() {
            return Err(Error::format(path, "holds no numbers, expected rows of them"));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Series::new(name, self.names, self.dates, self.values)
    }
}

/// The lines of a text, split into fields.
struct Lines<'a, R> {
    source: R,
    path: &'a Path,
    packed: bool,
    /// The number of the line that was read last, counted from 1.
    number: usize,
    line: Vec<u8>,
    fields: Vec<String>,
}

impl<'a, R: BufRead> Lines<'a, R> {
    fn new(source: R, path: &'a Path, packed: bool) -> Self {
        Self { source, path, packed, number: 0, line: Vec::new(), fields: Vec::new() }
    }

    fn wrong(&self, line: usize, wrong: &Wrong) -> Error {
        named(self.path, line, wrong)
    }

    /// The fields of the next line; `None` at the end. Empty lines are skipped at the end only.
    fn next(&mut self) -> Result<Option<&[String]>> {
        if !self.read_line()? {
            return Ok(None);
        }
        let number = self.number;
        if self.line.is_empty() {
            while self.read_line()? {
                if !self.line.is_empty() {
                    let detail = "empty, expected a row".into();
                    return Err(self.wrong(number, &Wrong { column: None, detail }));
                }
            }
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.line);
        let split = match text {
            Ok(text) => split(text, &mut self.fields),
            Err(_) => Err(Wrong { column: None, detail: "no UTF-8, expected a text".into() }),
        };
        split.map_err(|wrong| named(self.path, number, &wrong))?;
        Ok(Some(&self.fields))
    }

    /// Reads a line without its end; whether there was one.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        let read = (&mut self.source).take(LINE).read_until(b'\n', &mut self.line);
        let read = read.map_err(|e| match self.packed {
            true => Error::format(self.path, format!("damaged gzip ({e})")),
            false => Error::io(self.path, &e),
        })?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if read as u64 == LINE && self.line.last() != Some(&b'\n') {
            let detail = format!("over {LINE} bytes long");
            return Err(self.wrong(self.number, &Wrong { column: None, detail }));
        }
        while self.line.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
            self.line.pop();
        }
        if self.number == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
            self.line.drain(..3);
        }
        Ok(true)
    }
}

/// Splits a line into its fields, without their quotes and the blanks around them.
fn split(line: &str, fields: &mut Vec<String>) -> Result<(), Wrong> {
    let mut count = 0;
    let mut rest = Some(line);
    while let Some(text) = rest {
        if fields.len() == count {
            fields.push(String::new());
        }
        let field = &mut fields[count];
        field.clear();
        count += 1;
        let text = text.trim_start_matches([' ', '\t']);
        rest = if let Some(quoted) = text.strip_prefix('"') {
            unquote(quoted, field)
                .map_err(|detail| Wrong { column: Some(count), detail: detail.into() })?
        } else {
            let (plain, after) = match text.split_once(',') {
                Some((plain, after)) => (plain, Some(after)),
                None => (text, None),
            };
            field.push_str(plain.trim_end());
            after
        };
    }
    fields.truncate(count);
    Ok(())
}

/// Reads a field up to its closing quote, two quotes standing for one; what comes after its comma.
fn unquote<'t>(mut text: &'t str, field: &mut String) -> Result<Option<&'t str>, &'static str> {
    loop {
        let Some((plain, after)) = text.split_once('"') else {
            return Err("a quote that does not end on its line");
        };
        field.push_str(plain);
        if let Some(more) = after.strip_prefix('"') {
            field.push('"');
            text = more;
            continue;
        }
        let after = after.trim_start_matches([' ', '\t']);
        return match after.strip_prefix(',') {
            Some(rest) => Ok(Some(rest)),
            None if after.is_empty() => Ok(None),
            None => Err("text after a closing quote"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Series {
        Csv::new().read(text.as_bytes(), "dir/a.csv").unwrap()
    }

    fn error(text: &str) -> String {
        Csv::new().read(text.as_bytes(), "a.csv").unwrap_err().to_string()
    }

    fn names(series: &Series) -> Vec<&str> {
        series.names().iter().map(String::as_str).collect()
    }

    #[test]
    fn header_and_dates_are_recognised() {
        let ett =
            read("date,HUFL,OT\n2016-07-01 00:00:00,5.8,30.5\n2016-07-01 01:00:00,5.6,27.7\n");
        assert_eq!((ett.name.as_str(), names(&ett)), ("a.csv", vec!["HUFL", "OT"]));
        assert_eq!(ett.dates().unwrap(), ["2016-07-01 00:00:00", "2016-07-01 01:00:00"]);
        assert_eq!(ett.values(), [5.8, 30.5, 5.6, 27.7]);

        // Neither header nor dates; CRLF; no end on the last line; signs and exponents.
        let bare = read("1.5,-2\r\n+3,1.31E+02\r\n.5,0.00e+00");
        assert_eq!((names(&bare), bare.dates()), (vec!["0", "1"], None));
        assert_eq!(bare.values(), [1.5, -2.0, 3.0, 131.0, 0.5, 0.0]);

        // A header of sensor numbers, dates without a header, whole numbers without a header.
        let sensors = read("773869,767541,767542\n64.375,67.625,67\n62.6,68.5,65.4\n");
        assert_eq!((sensors.rows(), sensors.names()[0].as_str()), (2, "773869"));
        let dated = read("2020/2/1,1,2\n2020/2/2,3,4\n");
        assert_eq!((dated.rows(), dated.columns(), dated.dates().unwrap().len()), (2, 2, 2));
        assert_eq!(read("1,2,3\n4,5,6\n").rows(), 2);
        assert_eq!(read("7,7\n1.5,2.5\n").rows(), 2);

        // A header with dates that are numbers, and the nameless index that pandas writes.
        assert_eq!(
            read("Date,a\n20200101,1\n20200102,2\n").dates().unwrap(),
            ["20200101", "20200102"]
        );
        assert_eq!(names(&read(",a,b\n0,1,2\n1,3,4\n")), ["a", "b"]);
        assert_eq!(read("date,1,2\n2020/2/1,0,1\n").values(), [0.0, 1.0]);
    }

    #[test]
    fn header_and_dates_can_be_told() {
        let text = "1,2,3\n4.5,5.5,6.5\n";
        let read = |csv: Csv| csv.read(text.as_bytes(), "a").unwrap();
        assert_eq!(read(Csv::new()).rows(), 1);
        assert_eq!(read(Csv::new().header(false)).rows(), 2);
        let dated = read(Csv::new().header(false).dates(true));
        assert_eq!(
            (dated.columns(), dated.dates().unwrap()),
            (2, ["1", "4.5"].map(String::from).as_slice())
        );
        let all = Csv::new().dates(false).read("time,a\n1,2\n".as_bytes(), "a").unwrap();
        assert_eq!(all.columns(), 2);
        let forced = Csv::new().header(false).read("a,b\n1,2\n".as_bytes(), "a").unwrap_err();
        assert_eq!(forced.to_string(), "a: line 1, column 1: (`0`) holds `a`, expected a number");
    }

    #[test]
    fn quotes_blanks_and_marks() {
        let series =
            read("\u{FEFF}\"name, with \"\"quotes\"\"\" , b\n \"1.5\" ,\t2\n3,\"4\"\n\n\r\n");
        assert_eq!(names(&series), ["name, with \"quotes\"", "b"]);
        assert_eq!(series.values(), [1.5, 2.0, 3.0, 4.0]);
        assert_eq!(
            error("a,b\n\"1,2\n"),
            "a.csv: line 2, column 1: a quote that does not end on its line"
        );
        assert_eq!(error("a,b\n\"1\"0,2\n"), "a.csv: line 2, column 1: text after a closing quote");
    }

    #[test]
    fn gzip_in_members_and_damaged() {
        use crate::data::gzip::tests::pack;
        let text: String = (0..500).map(|i| format!("{i}.5,{}\n", i * i)).collect();
        let (first, second) = text.split_at(1000);
        let packed = [pack(first.as_bytes()), pack(second.as_bytes())].concat();
        let series = Csv::new().read(packed.as_slice(), "a.gz").unwrap();
        assert_eq!(series, Csv::new().read(text.as_bytes(), "a.gz").unwrap());
        assert_eq!((series.rows(), series.values()[999]), (500, 249_001.0));
        let padded = [packed.as_slice(), &[0; 100]].concat();
        assert_eq!(series, Csv::new().read(padded.as_slice(), "a.gz").unwrap());
        let refused = |bytes: &[u8]| Csv::new().read(bytes, "a.gz").unwrap_err().to_string();
        let cut = refused(&packed[..packed.len() - 9]);
        assert!(cut.starts_with("a.gz: damaged gzip ("), "{cut}");
        refused(&packed[..12]);
        let rubbish = refused(&[packed.as_slice(), b"1,2"].concat());
        assert_eq!(rubbish, "a.gz: damaged gzip (other bytes after its end)");
    }

    /// What can be read in two ways is refused, with its place.
    #[test]
    fn nothing_is_guessed() {
        let refused = |text: &str, place: &str, field: &str| {
            let message = error(text);
            assert!(message.starts_with(&format!("a.csv: {place}: ")), "{text:?}: {message}");
            assert!(message.contains(&format!("`{field}`")), "{text:?}: {message}");
        };
        // Semicolons and decimal commas.
        refused("2020-01-01;1,5\n2020-01-02;2,5\n", "line 1, column 1", "2020-01-01;1");
        refused("Zeit;Grad, C\n2020-01-01;1,5\n", "line 2, column 1", "2020-01-01;1");
        refused("date,Grad\n2020-01-01;1,5\n", "line 2, column 1", "2020-01-01;1");
        refused("1;2\n3;4\n", "line 1, column 1", "1;2");
        refused("a,b\n\"1,5\",2\n", "line 2, column 1", "1,5");
        // Units, thousands, other bases; in the first column of the first row and elsewhere.
        for odd in ["1,234.5", "5%", "1_000", "1'234", "0x10", "1\u{A0}000", "1.5x", "1.234.567"] {
            refused(&format!("\"{odd}\",2\n3,4\n"), "line 1, column 1", odd);
            refused(&format!("1,\"{odd}\"\n3,4\n"), "line 1, column 2", odd);
            refused(&format!("a,b\n\"{odd}\",2\n3,4\n"), "line 2, column 1", odd);
            refused(&format!("\"{odd}\"\n3\n"), "line 1, column 1", odd);
            refused(&format!("date,b\n\"{odd}\",2\n"), "line 2, column 1", odd);
        }
        // A typo in the first row, and gaps, make no header.
        refused("x1.5,2,3\n4,5,6\n", "line 1, column 1", "x1.5");
        refused("1.5,x2,3\n4,5,6\n", "line 1, column 2", "x2");
        refused("2020-01-01,x1.5\n2020-01-02,2\n", "line 1, column 2", "x1.5");
        refused("NaN,2\n3,4\n", "line 1, column 1", "NaN");
        refused("inf,2\n3,4\n", "line 1, column 1", "inf");
        // All rows have dates, or none.
        refused("2020-01-01,1\n7,2\n", "line 2, column 1", "7");
        refused("7,1\n2020-01-01,2\n", "line 2, column 1", "2020-01-01");
        refused("date,a\n2020-01-01,1\nmany,2\n", "line 3, column 1", "many");
        // What is told is taken.
        let told =
            Csv::new().header(false).dates(true).read("5%,1\nx,2\n".as_bytes(), "a").unwrap();
        assert_eq!((told.values(), told.dates().unwrap()[1].as_str()), (&[1.0, 2.0][..], "x"));
        let told = Csv::new().header(true).read("1.5x,2\n3,4\n".as_bytes(), "a").unwrap();
        assert_eq!(names(&told), ["1.5x", "2"]);
    }

    #[test]
    fn days_that_no_calendar_has_are_no_dates() {
        for odd in ["2016-13-01", "2016-01-32", "2015-02-29 00:00", "31.4.2016", "25:00"] {
            let holds = format!("holds `{odd}`, expected a ");
            for (text, place) in [
                (format!("{odd},1\n"), "line 1, column 1"),
                (format!("a,b\n{odd},1\n"), "line 2, column 1"),
                (format!("date,b\n{odd},1\n"), "line 2, column 1"),
                (format!("date,b\n2016-01-01,1\n{odd},1\n"), "line 3, column 1"),
                (format!("2016-01-01,1\n{odd},1\n"), "line 2, column 1"),
            ] {
                let message = error(&text);
                let named = message.starts_with(&format!("a.csv: {place}: "));
                assert!(named && message.contains(&holds), "{text:?}: {message}");
            }
        }
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let twice = |place: &str, other: &str| {
            format!("a.csv: line 1, {place}: named `x` like {other}, expected another name")
        };
        assert_eq!(error("x,y,x\n1,2,3\n"), twice("column 3", "column 1"));
        assert_eq!(error("date,x, x \n2016-01-01,2,3\n"), twice("column 3", "column 2"));
        assert_eq!(error("x,x\n1,2\n"), twice("column 2", "column 1"));
        let told = Csv::new().header(true).read("1,1\n2,3\n".as_bytes(), "a.csv").unwrap_err();
        assert!(told.to_string().starts_with("a.csv: line 1, column 2: named `1`"), "{told}");
        assert_eq!(names(&read("x,X\n1,2\n")), ["x", "X"]);
    }

    #[test]
    fn errors_name_line_and_column() {
        let body = "t,a,b\n2020-01-01,1,2\n2020-01-02,";
        let field = |field: &str| error(&format!("{body}3,{field}\n"));
        let place = "a.csv: line 3, column 3: (`b`) holds ";
        assert_eq!(field(""), format!("{place}a gap (``), expected a number"));
        assert_eq!(field("NA"), format!("{place}a gap (`NA`), expected a number"));
        assert_eq!(field("NaN"), format!("{place}a gap (`NaN`), expected a number"));
        assert_eq!(field("many"), format!("{place}`many`, expected a number"));
        assert_eq!(field("1e99"), format!("{place}`1e99`, expected a finite number"));
        assert_eq!(field("-inf"), format!("{place}`-inf`, expected a finite number"));
        assert!(field(&"x".repeat(90)).contains(&format!("`{}…`", "x".repeat(40))));
        assert_eq!(field("4,5"), "a.csv: line 3: 4 fields, the first line has 3");
        assert_eq!(error(&format!("{body}3\n")), "a.csv: line 3: 2 fields, the first line has 3");
        assert_eq!(error("a,b\n1,2\n\n3,4\n"), "a.csv: line 3: empty, expected a row");
    }

    #[test]
    fn files_without_numbers() {
        assert_eq!(error(""), "a.csv: empty, expected rows of numbers");
        assert_eq!(error("\n\n"), "a.csv: empty, expected rows of numbers");
        assert_eq!(error("date,a,b\n"), "a.csv: holds no numbers, expected rows of them");
        let latin = Csv::new().read(b"a,b\n1,caf\xe9\n".as_slice(), "a.csv").unwrap_err();
        assert_eq!(latin.to_string(), "a.csv: line 2: no UTF-8, expected a text");
        let missing = Csv::new().open("nowhere/at/all.csv").unwrap_err();
        assert!(missing.to_string().starts_with("nowhere/at/all.csv: "), "{missing}");
        // One column is never dates alone.
        assert_eq!(
            error("2020-01-01\n2020-01-02\n"),
            "a.csv: line 1, column 1: (`0`) holds `2020-01-01`, expected a number"
        );
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = std::io::BufReader::new(std::io::repeat(b'1'));
        let refused = Csv::new().read(endless, "a.csv").unwrap_err().to_string();
        assert_eq!(refused, "a.csv: line 1: over 16777216 bytes long");
    }
}
