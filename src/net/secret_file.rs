//! Files with secrets in them.

use std::io::{self, Write as _};
use std::path::Path;

/// Makes a file that the owner of the process alone can read; an error if it is there already.
pub fn write_secret(file: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
