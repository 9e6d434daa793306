//! What dates and times look like.

/// Names of months, of which three letters or more may stand, and their days in a leap year.
const MONTHS: [(&str, u32); 12] = [
    ("january", 31),
    ("february", 29),
    ("march", 31),
    ("april", 30),
    ("may", 31),
    ("june", 30),
    ("july", 31),
    ("august", 31),
    ("september", 30),
    ("october", 31),
    ("november", 30),
    ("december", 31),
];
/// Names of days, likewise.
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Other words of dates.
const WORDS: [&str; 8] = ["t", "z", "utc", "gmt", "am", "pm", "w", "q"];

/// A run of digits or of letters, or one other byte.
type Token<'a> = &'a [u8];

/// Whether a field is a date or a time: `2016-07-01 00:00:00`, `1.7.16`, `2020/2`, `2016-07-01T00:00Z`,
/// `12:30`, `1-Jan-2016`, `2016Q3`. Numbers with units, thousands or other marks are none: `5%`, `1_000`,
/// `1.234.567`, `1.5x`. Nor is what no calendar or clock has: month 13, 30 February, 25:00, `2016Q5`.
pub(super) fn is_date(field: &str) -> bool {
    let kind = |c: &u8| (c.is_ascii_digit(), c.is_ascii_alphabetic());
    let alike = |a: &u8, b: &u8| kind(a) == kind(b) && kind(a) != (false, false);
    let tokens: Vec<Token<'_>> = field.as_bytes().chunk_by(alike).collect();
    if tokens.is_empty() || mark(tokens[0]) || tokens.last().is_some_and(|last| mark(last)) {
        return false;
    }
    let marks = tokens.windows(2).all(|pair| !(mark(pair[0]) && mark(pair[1])));
    let known = |token: &Token<'_>| match token {
        [b'-' | b'/' | b'.' | b':' | b' ' | b'+'] => true,
        token if word(token) => is_word(token) || month_of(token).is_some() || is_weekday(token),
        token => digits(token) && token.len() <= 9,
    };
    if !marks || !tokens.iter().all(known) {
        return false;
    }
    let numeric = day(&tokens).or_else(|| month(&tokens));
    let found = [clocks(&tokens), numeric, named(&tokens), part_of_year(&tokens)];
    let sound = packed_days(&tokens) && !found.contains(&Some(false));
    sound && found.contains(&Some(true))
}

fn digits(token: Token<'_>) -> bool {
    token[0].is_ascii_digit()
}

fn word(token: Token<'_>) -> bool {
    token[0].is_ascii_alphabetic()
}

fn mark(token: Token<'_>) -> bool {
    !digits(token) && !word(token)
}

fn year(token: Token<'_>) -> bool {
    digits(token) && token.len() == 4
}

/// A number of two digits at most: a day, a month, or a year without its century.
fn short(token: Token<'_>) -> bool {
    digits(token) && token.len() <= 2
}

fn value(token: Token<'_>) -> u32 {
    token.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
}

/// Whether all times of day are some; `None` if there is none.
fn clocks(tokens: &[Token<'_>]) -> Option<bool> {
    let times = tokens.windows(3).enumerate().filter(|(_, three)| three[1] == b":");
    times.fold(None, |sound, (at, three)| {
        // After another colon come minutes and seconds, of which there may be a sixtieth.
        let seconds = at > 0 && tokens[at - 1] == b":";
        let most = if seconds { [59, 60] } else { [24, 59] };
        let within = value_within(three[0], most[0]) && value_within(three[2], most[1]);
        Some(sound != Some(false) && within && three[2].len() == 2)
    })
}

fn value_within(token: Token<'_>, most: u32) -> bool {
    short(token) && value(token) <= most
}

/// Whether day, month and year, as three numbers, are a date, the year first or last; between points a
/// year that is first has four digits. `None` if there are no such three.
fn day(tokens: &[Token<'_>]) -> Option<bool> {
    let three = |five: &&[Token<'_>]| {
        five.iter().step_by(2).all(|token| short(token) || year(token))
            && five[1] == five[3]
            && matches!(five[1], b"-" | b"/" | b".")
    };
    let five = tokens.windows(5).find(three)?;
    let (a, b, c) = (five[0], five[2], five[4]);
    let last = is_day(b, a, c) || is_day(a, b, c);
    Some(match (year(a), year(c)) {
        (true, _) => is_day(b, c, a),
        (_, true) => last,
        _ => last || five[1] != b"." && is_day(b, c, a),
    })
}

/// Whether a month and a year, as numbers, are some; `None` if there are none. Two years are a season.
fn month(tokens: &[Token<'_>]) -> Option<bool> {
    let pair = |three: &&[Token<'_>]| {
        let numbers = [three[0], three[2]];
        numbers.iter().all(|token| short(token) || year(token))
            && numbers.iter().any(|token| year(token))
            && matches!(three[1], b"-" | b"/")
    };
    let three = tokens.windows(3).find(pair)?;
    Some([three[0], three[2]].iter().all(|token| year(token) || (1..=12).contains(&value(token))))
}

/// Whether a date with the name of a month or of a day is one; `None` without such a name, or without
/// a number.
fn named(tokens: &[Token<'_>]) -> Option<bool> {
    let at = tokens.iter().position(|token| month_of(token).is_some());
    let name = at.or_else(|| tokens.iter().position(|token| is_weekday(token)));
    name.filter(|_| tokens.iter().any(|token| digits(token)))?;
    let Some(at) = at else { return Some(true) };
    let solid = |token: &Token<'_>| !mark(token);
    let before = tokens[..at].iter().rev().take(2).copied().find(solid);
    // Minutes are no day.
    let before = before.filter(|_| at < 3 || tokens[at - 3] != b":");
    let after = tokens[at + 1..].iter().take(2).copied().find(solid);
    let full_year = tokens.iter().copied().find(|token| year(token));
    let short_number = |token: &Token<'_>| short(token);
    Some(match (before.filter(short_number), after.filter(short_number), full_year) {
        (Some(day), other, full) => is_day_of(tokens[at], day, full.or(other)),
        (None, Some(day), Some(full)) => is_day_of(tokens[at], day, Some(full)),
        _ => true,
    })
}

/// Whether quarter or week of a year are some; `None` if there is none.
fn part_of_year(tokens: &[Token<'_>]) -> Option<bool> {
    let most = |token: Token<'_>| match token {
        [b'q' | b'Q'] => Some(4),
        [b'w' | b'W'] => Some(53),
        _ => None,
    };
    tokens.iter().find(|token| year(token))?;
    let (at, most) = tokens.iter().enumerate().find_map(|(at, token)| Some((at, most(token)?)))?;
    let number = tokens.get(at + 1).filter(|token| short(token));
    Some(number.is_some_and(|number| (1..=most).contains(&value(number))))
}

/// Whether dates of eight digits are dates; digits after a point are parts of a second.
fn packed_days(tokens: &[Token<'_>]) -> bool {
    let packed = |(at, token): &(usize, &Token<'_>)| {
        digits(token) && token.len() == 8 && (*at == 0 || tokens[at - 1] != b".")
    };
    let mut found = tokens.iter().enumerate().filter(packed);
    found.all(|(_, token)| is_day(&token[4..6], &token[6..], &token[..4]))
}

/// Whether a month, as a number, has this day.
fn is_day(month: Token<'_>, day: Token<'_>, in_year: Token<'_>) -> bool {
    let name = value(month).checked_sub(1).and_then(|at| MONTHS.get(at as usize));
    short(month) && name.is_some_and(|(name, _)| is_day_of(name.as_bytes(), day, Some(in_year)))
}

/// Whether a month, by its name, has this day. Of a year of two digits the century is not known, and
/// of none at all whether it is a leap year.
fn is_day_of(month: Token<'_>, day: Token<'_>, in_year: Option<Token<'_>>) -> bool {
    let leap = in_year.is_none_or(|token| {
        let century = year(token) && value(token).is_multiple_of(100);
        value(token).is_multiple_of(if century { 400 } else { 4 })
    });
    let most = month_of(month).map_or(0, |(_, days)| if days == 29 && !leap { 28 } else { days });
    short(day) && (1..=most).contains(&value(day))
}

fn is_word(token: Token<'_>) -> bool {
    WORDS.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(token))
}

/// The month that a word names.
fn month_of(token: Token<'_>) -> Option<(&'static str, u32)> {
    MONTHS.into_iter().find(|(name, _)| names(name, token))
}

fn is_weekday(token: Token<'_>) -> bool {
    WEEKDAYS.iter().any(|name| names(name, token))
}

/// Whether a word is a name, or three letters or more of its start.
fn names(name: &str, token: Token<'_>) -> bool {
    let start = name.as_bytes().get(..token.len());
    token.len() >= 3 && start.is_some_and(|start| start.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates_and_what_is_none() {
        let dates = [
            "2016-07-01 00:00:00",
            "2016-07-01T00:00:00.123456789Z",
            "2016-07-01 00:00:00+02:00",
            "1.7.16",
            "01.07.2016 5:30",
            "2020/2/1",
            "2020/2",
            "07-2020",
            "12:30",
            "1:30 PM",
            "1-Jan-2016",
            "Jan 2016",
            "Monday 4 July 2016",
            "2016Q3",
            "2016-W05",
            "20200101 12:00 UTC",
            // Either of day and month may come first, and the year may be short.
            "13.12.2016",
            "12/13/2016",
            "31-12-16",
            "16-12-31",
            "29.2.16",
            "2000-02-29",
            "2016-07-01-23-59-59",
            "2016-12-31 23:59:60",
            "24:00",
            "00:00:00.99999999",
            "29 Feb 2016",
            "Feb 29 2016",
            "29-Feb-16",
            "Jan-99",
            "12:45 Jan 2016",
            "2016-Jan-31",
            "Q4 2016",
            "2016/2017",
        ];
        for date in dates {
            assert!(is_date(date), "{date}");
        }
        let others = [
            "",
            "1",
            "1.5",
            "-1.5",
            "1.5x",
            "5%",
            "1_000",
            "1'234",
            "0x10",
            "1 000",
            "1\u{A0}000",
            "1,234.5",
            "1,5",
            "1.234.567",
            "12.345.678",
            "2020-01-01;1",
            "20200101",
            "2020",
            "1-5",
            "1:5",
            "1e5",
            "5 m",
            "march",
            "T",
            "2020-01-",
            "2020--01-01",
            "12:345",
            "€5",
            "1/2",
            // What no calendar and no clock has.
            "2016-13-01",
            "2016-00-01",
            "2016-01-32",
            "2016-01-00",
            "2016-04-31",
            "2015-02-29",
            "1900-02-29",
            "2016-13-01 12:00",
            "13/13/2016",
            "32.1.2016",
            "31.4.16",
            "99-99-99",
            "2016/13",
            "13-2016",
            "25:00",
            "12:60",
            "12:30:61",
            "2016-01-01 24:60",
            "32-Jan-2016",
            "Jan 32 2016",
            "31 Apr 2016",
            "29 Feb 2015",
            "2016-Jan-32",
            "30-Feb",
            "2016Q5",
            "2016Q0",
            "2016-W54",
            "20201301 12:00",
            "20200132 12:00",
        ];
        for other in others {
            assert!(!is_date(other), "{other}");
        }
    }
}
