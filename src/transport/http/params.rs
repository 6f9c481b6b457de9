//! Comma-separated `name=value` lists of authentication headers, quoted or not.

/// Name (in lower case) and value of each; what is malformed ends the list.
pub(super) fn parse_params(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => match unquote(quoted) {
                Some(parts) => parts,
                None => break,
            },
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.is_empty() || found.len() >= MOST {
            break;
        }
        found.push((name, value));
        rest = left.trim_start_matches([' ', ',', '\t']);
    }
    found
}

/// The text up to the closing quote, escapes resolved, and what follows.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Parameters taken from one header.
const MOST: usize = 32;
