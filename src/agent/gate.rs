//! Holds back what may only leave once a commit is on disk.

use std::collections::BTreeMap;

use crate::durable::Token;

/// Values that wait for commits. What names no token never enters.
#[derive(Debug)]
pub struct Gate<T> {
    waiting: BTreeMap<Token, Vec<T>>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new() }
    }
}

impl<T> Gate<T> {
    /// Keeps `value` until `token` is persisted.
    pub fn hold(&mut self, token: Token, value: T) {
        self.waiting.entry(token).or_default().push(value);
    }

    /// What waited for `token`; empty if nothing did. On failure the caller drops or answers them.
    pub fn release(&mut self, token: Token) -> Vec<T> {
        self.waiting.remove(&token).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_commit_releases() {
        let mut gate = Gate::default();
        gate.hold(Token(1), "a");
        gate.hold(Token(2), "b");
        gate.hold(Token(1), "c");
        assert_eq!(gate.release(Token(3)), Vec::<&str>::new());
        assert_eq!(gate.release(Token(1)), ["a", "c"]);
        assert!(!gate.is_empty());
        assert_eq!(gate.release(Token(2)), ["b"]);
        assert!(gate.is_empty());
    }
}
