//! Memory under pressure: which answers are broken off, so that the data that they hold can be freed. Pure.
//!
//! A client that takes its answer slowly keeps a body that is served no more, and with it the memory that the body is a part
//! of. When memory is short that is given back: the oldest first, no more than is needed, and of each memory all who hold it,
//! since it is freed with the last of them.

/// An answer that goes on, and the memory that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding<K, M> {
    /// Whose it is.
    pub key: K,
    /// Since when it is held, in seconds.
    pub since_seconds: u32,
    /// Which memory it is.
    pub memory: M,
    /// Its length in bytes, all of it.
    pub length: u64,
}

/// The keys of the holdings that are to go, so that `needed` bytes come back, or as many as can.
pub fn broken_off<K, M: PartialEq>(mut holdings: Vec<Holding<K, M>>, needed: u64) -> Vec<K> {
    holdings.sort_by_key(|holding| holding.since_seconds);
    let mut freed = 0;
    let mut keys = Vec::new();
    while freed < needed && !holdings.is_empty() {
        let oldest = holdings.remove(0);
        freed += oldest.length;
        keys.push(oldest.key);
        let (same, others) = holdings
            .into_iter()
            .partition(|holding| holding.memory == oldest.memory);
        let same: Vec<Holding<K, M>> = same;
        keys.extend(same.into_iter().map(|holding| holding.key));
        holdings = others;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_with_all_who_hold_the_same_and_no_more_than_is_needed() {
        let holding = |key, since_seconds, memory, length| Holding {
            key,
            since_seconds,
            memory,
            length,
        };
        let all = vec![
            holding(1, 30, 'b', 100),
            holding(2, 10, 'a', 50),
            holding(3, 20, 'b', 100),
            holding(4, 40, 'c', 1000),
            holding(5, 50, 'a', 50),
        ];
        for (needed, expected) in [
            (0, vec![]),
            (1, vec![2, 5]),
            (50, vec![2, 5]),
            (51, vec![2, 5, 3, 1]),
            (150, vec![2, 5, 3, 1]),
            (151, vec![2, 5, 3, 1, 4]),
            (u64::MAX, vec![2, 5, 3, 1, 4]),
        ] {
            assert_eq!(broken_off(all.clone(), needed), expected, "{needed}");
        }
        assert!(broken_off(Vec::<Holding<u8, u8>>::new(), 1).is_empty());
    }
}
