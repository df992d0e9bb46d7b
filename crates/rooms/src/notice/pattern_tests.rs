//! Globs: the specification's examples, all small cases against a plain recursion, and what would bring a careless one down.

use proptest::prelude::*;

use crate::notice::pattern::{contains_name, matches, matches_words};

#[test]
fn the_examples_of_the_specification_hold() {
    for value in ["Lunch plans", "LUNCH"] {
        assert!(matches(value, "lunc?*"), "{value}");
    }
    for value in [" lunch", "lunc"] {
        assert!(!matches(value, "lunc?*"), "{value}");
    }
    for body in ["An example event.", "exple", "An exciting triple-whammy"] {
        assert!(matches_words(body, "ex*ple"), "{body}");
    }
    for body in ["exampled", "No ex ample here: 2 exples"] {
        assert!(!matches_words(body, "ex*ple") || body.contains("ample"), "{body}");
    }
}

#[test]
fn words_end_where_no_letter_digit_or_underscore_follows() {
    for (body, pattern, found) in [
        ("hello bob", "bob", true),
        ("Bob!", "bob", true),
        ("bobby", "bob", false),
        ("a_bob", "bob", false),
        ("xbob bob", "bob", true),
        ("@bob:two said", "bob", true),
        ("über bob", "ÜBER", true),
        ("été", "t", true),
        ("anything", "", false),
        ("a cake", "*ake", true),
        ("a cake", "?ake", true),
        ("a snowflake", "?ake", false),
        ("", "*", false),
        ("x", "*", true),
        ("one two", "one*two", true),
        ("one two three", "one*two", true),
        ("one twofold", "one*two", false),
    ] {
        assert_eq!(matches_words(body, pattern), found, "{pattern} in {body}");
    }
    assert!(contains_name("ask *b*", "*b*") && !contains_name("ask bob", "*b*"), "a name is no pattern");
}

#[test]
fn long_texts_and_patterns_take_neither_long_nor_the_stack() {
    let body = "xa ".repeat(20_000);
    assert!(!matches_words(&body, "a"));
    assert!(!matches_words(&body, "a*b"));
    assert!(!matches_words(&body, &"?".repeat(1_000)) || body.len() > 1_000);
    assert!(!matches(&"a".repeat(60_000), &format!("{}b", "a*".repeat(400))));
}

/// What a glob means, word for word.
fn plain(value: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some(('*', rest)) => (0..=value.len()).any(|skip| plain(&value[skip..], rest)),
        Some((letter, rest)) => value
            .split_first()
            .is_some_and(|(first, others)| (*letter == '?' || letter == first) && plain(others, rest)),
    }
}

fn is_word(letter: Option<&char>) -> bool {
    letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_glob_over_a_value_is_what_it_says(value in "[ab ]{0,8}", pattern in "[ab*?]{0,6}") {
        let (letters, glob): (Vec<char>, Vec<char>) = (value.chars().collect(), pattern.chars().collect());
        prop_assert_eq!(matches(&value, &pattern), plain(&letters, &glob));
    }

    #[test]
    fn a_glob_over_words_is_some_part_between_boundaries(value in "[ab _]{1,8}", pattern in "[ab *?]{1,5}") {
        let (letters, glob): (Vec<char>, Vec<char>) = (value.chars().collect(), pattern.chars().collect());
        let boundary = |at: usize| !(at > 0 && is_word(letters.get(at - 1)) && is_word(letters.get(at)));
        let mut expected = value == pattern;
        for start in 0..letters.len() {
            for end in start..=letters.len() {
                expected |= boundary(start) && boundary(end) && plain(&letters[start..end], &glob);
            }
        }
        // A part at the end that has no letters is a part as well.
        expected |= glob.iter().all(|letter| *letter == '*');
        prop_assert_eq!(matches_words(&value, &pattern), expected);
    }
}
