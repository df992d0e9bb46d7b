//! "Did you mean": the nearest of a few names, or none when all are far.

/// The candidate nearest to `name`, if it is near enough to be a slip of the hand: at most a third of the letters differ
/// (and one always may).
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_understood() {
        let names = ["server_name", "data_dir", "registration", "federation"];
        assert_eq!(nearest("regstration", names), Some("registration"));
        assert_eq!(nearest("servername", names), Some("server_name"));
        assert_eq!(nearest("data-dir", names), Some("data_dir"));
        assert_eq!(nearest("Federation", names), Some("federation"));
    }

    #[test]
    fn a_name_far_from_all_gets_no_suggestion() {
        assert_eq!(nearest("max_upload_size", ["server_name", "data_dir"]), None);
        assert_eq!(nearest("x", ["server_name"]), None);
    }

    #[test]
    fn two_letters_swapped_are_one_slip() {
        assert_eq!(distance("kye", "key"), 1);
        assert_eq!(distance("", "key"), 3);
        assert_eq!(distance("key", "key"), 0);
    }
}
