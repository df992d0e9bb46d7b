//! Globs of push rules (<https://spec.matrix.org/v1.19/appendices/#glob-style-matching>): `*` for any characters, `?` for one,
//! case ignored, over a whole value or over any words of it.
//!
//! ruma has this too, but by a regular expression that a long pattern makes fail, and by a recursion as deep as a message
//! has words, which anybody could bring the process down with. Here both take a time that is bounded by the lengths.

/// Whether `pattern` matches the whole of `value`.
pub(super) fn matches(value: &str, pattern: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let value = value.to_lowercase();
    if is_literal(&pattern) {
        return value == pattern;
    }
    let (value, pattern): (Vec<char>, Vec<char>) = (value.chars().collect(), pattern.chars().collect());
    matches_chars(&value, &pattern)
}

/// Whether `pattern` matches some part of `value` that begins and ends at the boundary of a word.
pub(super) fn matches_words(value: &str, pattern: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let value = value.to_lowercase();
    if value == pattern {
        return true;
    }
    if pattern.is_empty() {
        return false;
    }
    if is_literal(&pattern) { contains_word(&value, &pattern) } else { contains_glob(&value, &pattern) }
}

fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn contains_word(value: &str, word: &str) -> bool {
    value.match_indices(word).any(|(start, found)| {
        let (before, rest) = value.split_at(start);
        let after = rest.get(found.len()..).unwrap_or_default();
        let begins = is_boundary(before.chars().next_back(), found.chars().next());
        begins && is_boundary(found.chars().next_back(), after.chars().next())
    })
}

/// Whether a word ends, or none is, between two letters.
fn is_boundary(left: Option<char>, right: Option<char>) -> bool {
    !(left.is_some_and(is_word) && right.is_some_and(is_word))
}

/// One star is remembered: a later one takes in what an earlier one could.
fn matches_chars(value: &[char], pattern: &[char]) -> bool {
    let (mut at, mut next, mut star) = (0, 0, None);
    while at < value.len() {
        match pattern.get(next) {
            Some('*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(letter) if *letter == '?' || Some(letter) == value.get(at) => {
                at += 1;
                next += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    at = *taken;
                    next = *place + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(next).all(|letter| *letter == '*')
}

/// Follows all places where the pattern may have begun at once: a step a letter of the value, over the pattern's length.
fn contains_glob(value: &str, pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // Whether what lies before the letter at hand matches the pattern up to there.
    let mut reached = vec![false; pattern.len() + 1];
    let mut before = None;
    let mut letters = value.chars().peekable();
    loop {
        let letter = letters.peek().copied();
        if is_boundary(before, letter) {
            reached[0] = true;
        }
        for at in 0..pattern.len() {
            if reached[at] && pattern[at] == '*' {
                reached[at + 1] = true;
            }
        }
        // Nothing at all matches nowhere: a lone star needs a letter.
        if before.is_some() && reached[pattern.len()] && is_boundary(before, letter) {
            return true;
        }
        let Some(letter) = letters.next() else { return false };
        for at in (0..pattern.len()).rev() {
            let steps = reached[at] && (pattern[at] == '?' || pattern[at] == letter);
            reached[at + 1] = steps || (reached[at + 1] && at + 1 < pattern.len() && pattern[at + 1] == '*');
        }
        reached[0] = pattern[0] == '*' && reached[0];
        before = Some(letter);
    }
}

/// Whether `name`, taken as it is, stands in `value` between boundaries of words.
pub(super) fn contains_name(value: &str, name: &str) -> bool {
    contains_word(&value.to_lowercase(), &name.to_lowercase())
}
