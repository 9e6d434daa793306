//! What dates and times look like.

/// Names of months and days, of which three letters or more may stand.
const NAMES: [&str; 19] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// Other words of dates.
const WORDS: [&str; 8] = ["t", "z", "utc", "gmt", "am", "pm", "w", "q"];

/// Whether a field is a date or a time: `2016-07-01 00:00:00`, `1.7.16`, `2020/2`, `2016-07-01T00:00Z`,
/// `12:30`, `1-Jan-2016`, `2016Q3`. Numbers with units, thousands or other marks are none: `5%`, `1_000`,
/// `1.234.567`, `1.5x`.
pub(super) fn is_date(field: &str) -> bool {
    let kind = |c: &u8| (c.is_ascii_digit(), c.is_ascii_alphabetic());
    let alike = |a: &u8, b: &u8| kind(a) == kind(b) && kind(a) != (false, false);
    let tokens: Vec<&[u8]> = field.as_bytes().chunk_by(alike).collect();
    let digits = |token: &[u8]| token[0].is_ascii_digit();
    let word = |token: &[u8]| token[0].is_ascii_alphabetic();
    let mark = |token: &[u8]| !digits(token) && !word(token);
    if tokens.is_empty() || mark(tokens[0]) || tokens.last().is_some_and(|last| mark(last)) {
        return false;
    }
    let marks = tokens.windows(2).all(|pair| !(mark(pair[0]) && mark(pair[1])));
    let known = |token: &&[u8]| match token {
        [b'-' | b'/' | b'.' | b':' | b' ' | b'+'] => true,
        token if word(token) => is_word(token) || is_name(token),
        token => digits(token) && token.len() <= 9,
    };
    let clock = |three: &[&[u8]]| {
        digits(three[0]) && three[0].len() <= 2 && digits(three[2]) && three[2].len() == 2
    };
    let times = || tokens.windows(3).filter(|three| three[1] == b":");
    if !marks || !tokens.iter().all(known) || !times().all(clock) {
        return false;
    }
    let year = |token: &[u8]| digits(token) && token.len() == 4;
    let part = |token: &[u8]| digits(token) && (token.len() <= 2 || year(token));
    let day = |five: &[&[u8]]| {
        part(five[0])
            && part(five[2])
            && part(five[4])
            && five[1] == five[3]
            && matches!(five[1], b"-" | b"/" | b".")
    };
    let month = |three: &[&[u8]]| {
        let [first, mark, second] = three else { return false };
        part(first) && part(second) && (year(first) || year(second)) && matches!(*mark, b"-" | b"/")
    };
    let named = tokens.iter().any(|token| is_name(token)) && tokens.iter().any(|t| digits(t));
    let quarter = tokens.iter().any(|token| year(token))
        && tokens.iter().any(|token| matches!(token, [b'q' | b'Q' | b'w' | b'W']));
    times().next().is_some()
        || tokens.windows(5).any(day)
        || tokens.windows(3).any(month)
        || named
        || quarter
}

fn is_word(token: &[u8]) -> bool {
    WORDS.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(token))
}

fn is_name(token: &[u8]) -> bool {
    let starts = |name: &&str| {
        name.as_bytes().get(..token.len()).is_some_and(|start| start.eq_ignore_ascii_case(token))
    };
    token.len() >= 3 && NAMES.iter().any(starts)
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
        ];
        for other in others {
            assert!(!is_date(other), "{other}");
        }
    }
}
