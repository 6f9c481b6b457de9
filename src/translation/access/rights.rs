//! Four rights, written `rwxn`: read, write, execute, notify.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

/// A text that is not four of `r`, `w`, `x`, `n` in this order with `-` for what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("rights are written rwxn, with - for those that are missing")]
pub struct RightsError;

impl Rights {
    pub const NONE: Self = Self(0);
    pub const READ: Self = Self(0b1000);
    pub const WRITE: Self = Self(0b0100);
    pub const EXECUTE: Self = Self(0b0010);
    pub const NOTIFY: Self = Self(0b0001);
    pub const ALL: Self = Self(0b1111);

    /// Those of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `wanted` are there.
    pub const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

impl FromStr for Rights {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let letters = text.as_bytes();
        if letters.len() != LETTERS.len() {
            return Err(RightsError);
        }
        let mut rights = Self::NONE;
        for (letter, (known, right)) in letters.iter().zip(LETTERS) {
            match letter {
                b'-' => {}
                letter if *letter == known => rights = rights.with(right),
                _ => return Err(RightsError),
            }
        }
        Ok(rights)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, right) in LETTERS {
            write!(f, "{}", if self.has(right) { char::from(letter) } else { '-' })?;
        }
        Ok(())
    }
}

const LETTERS: [(u8, Rights); 4] =
    [(b'r', Rights::READ), (b'w', Rights::WRITE), (b'x', Rights::EXECUTE), (b'n', Rights::NOTIFY)];
