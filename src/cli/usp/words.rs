//! What one types on the command line, as the words of a request.

/// A parameter and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub name: String,
    pub value: String,
}

/// `NAME=VALUE`. A name may hold search expressions, whose `==` is not the sign that splits.
pub(super) fn assignment(text: &str) -> Result<Assignment, String> {
    let (mut bracket, mut quoted) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if bracket => quoted = !quoted,
            '[' if !quoted => bracket = true,
            ']' if !quoted => bracket = false,
            '=' if !bracket && at > 0 => {
                return Ok(Assignment { name: text[..at].to_owned(), value: text[at + 1..].to_owned() });
            }
            _ => {}
        }
    }
    Err(format!("'{text}' is not of the form NAME=VALUE"))
}

/// A path of a parameter with its value.
pub(super) fn parameter(text: &str) -> Result<Assignment, String> {
    let assignment = assignment(text)?;
    if !assignment.name.contains('.') || assignment.name.ends_with('.') {
        return Err(format!("'{}' is no path of a parameter, such as Device.Time.Enable", assignment.name));
    }
    Ok(assignment)
}

/// A command as USP names it, which ends in `()`; whoever leaves them out is understood.
pub(super) fn command(text: &str) -> Result<String, String> {
    let name = text.strip_suffix("()").unwrap_or(text);
    if !name.contains('.') || name.ends_with('.') {
        return Err(format!("'{text}' is no path of a command, such as Device.Reboot()"));
    }
    Ok(format!("{name}()"))
}

/// As the functions that build requests take them.
pub(super) fn pairs(assignments: &[Assignment]) -> Vec<(&str, &str)> {
    assignments.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect()
}

/// As the functions that build requests take them.
pub(super) fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_expression_does_not_split_an_assignment() {
        let it = parameter("Device.WiFi.SSID.[Alias==\"a]=b\"].SSID=x=y").unwrap();
        assert_eq!((it.name.as_str(), it.value.as_str()), ("Device.WiFi.SSID.[Alias==\"a]=b\"].SSID", "x=y"));
        assert_eq!(parameter("Device.A.B=").unwrap().value, "");
        for wrong in ["Device.A.B", "=x", "Device.A.=x", "B=x"] {
            assert!(parameter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_gets_the_parentheses_it_needs() {
        assert_eq!(command("Device.Reboot").as_deref(), Ok("Device.Reboot()"));
        assert_eq!(command("Device.Reboot()").as_deref(), Ok("Device.Reboot()"));
        assert!(command("Reboot").is_err());
    }
}
