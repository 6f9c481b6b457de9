//! Why a configuration is refused: file, line, key, and what would be right.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// The reason, for the operator who wrote the file.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("failed to read {}: {why}", file.display())]
    Read { file: PathBuf, why: std::io::Error },
    #[error("{}:{line}: {what}", file.display())]
    Syntax { file: PathBuf, line: usize, what: String },
    #[error("{}: {key}: {what}", file.display())]
    Value { file: PathBuf, key: String, what: String },
}

impl ConfigError {
    /// From the parser's report on this text.
    pub(super) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..at].matches('\n').count() + 1;
        let source = text.lines().nth(line - 1).unwrap_or("").trim();
        let what = format!("{} in `{source}`", error.message());
        Self::Syntax { file: file.to_owned(), line, what }
    }
}
