//! All texts of an envelope, each with what it is about, to say some of them otherwise: as splices that leave all
//! around them as it was. Knows no RPC, so that it reads those of vendors too.

use std::borrow::Cow;
use std::ops::Range;

use crate::datamodel::supported::is_secret_name;

use super::cursor::{Content, Cursor};
use super::encode::escape;
use super::sniff::descend;
use super::splice::Edit;
use super::{Limits, SoapError};

/// An element without children.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'l> {
    /// The name of the message in the body; `Header` for what stands in the header.
    pub message: &'l str,
    /// Local name.
    pub name: &'l str,
    /// What `Name` or `ParameterName` beside it says: the parameter that it is about.
    pub parameter: Option<&'l str>,
    /// Entities resolved.
    pub text: &'l str,
}

/// The edits that say the texts otherwise for which `say` gives something, in order.
///
/// # Errors
/// If the text is no envelope within the limits.
pub fn rewrite_leaves(
    text: &str,
    limits: &Limits,
    say: &mut dyn FnMut(&Leaf<'_>) -> Option<String>,
) -> Result<Vec<Edit>, SoapError> {
    let text = text.trim_end_matches(['\0', ' ', '\t', '\r', '\n']);
    if text.len() > limits.size {
        return Err(SoapError::TooLarge(text.len(), limits.size));
    }
    let mut cursor = Cursor::new(text, limits);
    if cursor.enter()? != Some("Envelope") {
        return Err(SoapError::NotSoap("no Envelope".into()));
    }
    let mut walk = Walk { say, edits: Vec::new() };
    cursor.children(|name, cursor| match name {
        "Body" => cursor.children(|message, cursor| walk.element(message, message, cursor, &mut Vec::new())),
        _ => walk.element("Header", name, cursor, &mut Vec::new()),
    })?;
    if cursor.enter()?.is_some() {
        return Err(SoapError::Trailing);
    }
    let mut edits = walk.edits;
    edits.sort_by_key(|edit| edit.range.start);
    Ok(edits)
}

/// The ID in the header of an envelope, with where it stands; `None` if there is none, or no envelope.
pub fn message_id(text: &str) -> Option<(String, Range<usize>)> {
    let mut id = None;
    let edits = rewrite_leaves(text, &Limits::default(), &mut |leaf| {
        let is_it = leaf.message == "Header" && leaf.name == "ID" && id.is_none();
        is_it.then(|| id.insert(leaf.text.to_owned()).clone())
    });
    Some((id?, edits.ok()?.into_iter().next()?.range))
}

/// The local name of the message in an envelope; `None` if there is none, or no envelope.
pub fn message_name(text: &str) -> Option<String> {
    let mut cursor = Cursor::new(text, &Limits::default());
    if cursor.enter().ok()? != Some("Envelope") {
        return None;
    }
    descend(&mut cursor, "Body")?;
    cursor.enter().ok()?.map(str::to_owned)
}

struct Walk<'w> {
    say: &'w mut dyn FnMut(&Leaf<'_>) -> Option<String>,
    edits: Vec<Edit>,
}

/// The texts of one structure so far.
type Siblings<'a> = Vec<(&'a str, Cow<'a, str>, Range<usize>)>;

impl Walk<'_> {
    /// Reads the element entered last; a text is for the structure around it to judge.
    fn element<'a>(
        &mut self,
        message: &str,
        name: &'a str,
        cursor: &mut Cursor<'a>,
        siblings: &mut Siblings<'a>,
    ) -> Result<(), SoapError> {
        // Markup within one of these is part of what it says.
        if matches!(name, "Name" | "ParameterName" | "Value") || is_secret_name(name) {
            let (text, range) = cursor.text()?;
            siblings.push((name, text, range));
            return Ok(());
        }
        let mut within = Siblings::new();
        match cursor.content()? {
            Content::Text(text, range) => siblings.push((name, text, range)),
            Content::Child(child) => {
                self.element(message, child, cursor, &mut within)?;
                while let Some(child) = cursor.enter()? {
                    self.element(message, child, cursor, &mut within)?;
                }
                self.judge(message, &within);
            }
        }
        Ok(())
    }

    fn judge(&mut self, message: &str, structure: &Siblings<'_>) {
        let named = structure.iter().find(|(name, ..)| matches!(*name, "Name" | "ParameterName"));
        let parameter = named.map(|(_, text, _)| text.trim());
        for (name, text, range) in structure {
            let leaf = Leaf { message, name, parameter, text };
            if let Some(said) = (self.say)(&leaf) {
                self.edits.push(Edit { range: range.clone(), text: escape(&said) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::soap::splice;

    const BODY: &str = "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"urn:s\" xmlns:c=\"urn:c\"><s:Header>\
        <c:ID s:mustUnderstand=\"1\">a&amp;7</c:ID></s:Header><s:Body><c:Set><L><P><Value x=\"y\">s<b>1</b>&lt;\
        </Value><Name> Device.A.Key </Name></P><P><Name>Device.B</Name><Value><![CDATA[<s2>]]></Value></P></L>\
        <Password>p<i/></Password><Empty/></c:Set></s:Body></s:Envelope>\n\n";

    #[test]
    fn each_text_comes_with_its_parameter_whatever_stands_first_and_all_around_an_edit_stays() {
        let mut seen = Vec::new();
        let edits = rewrite_leaves(BODY, &Limits::default(), &mut |leaf| {
            seen.push(format!("{}/{}/{:?}={}", leaf.message, leaf.name, leaf.parameter, leaf.text));
            matches!(leaf.name, "Value" | "Password").then(|| "<x>".to_owned())
        });
        let after = String::from_utf8(splice(BODY.as_bytes(), &edits.unwrap())).unwrap();
        assert_eq!(
            seen,
            [
                "Header/ID/None=a&7",
                "Set/Value/Some(\"Device.A.Key\")=s<",
                "Set/Name/Some(\"Device.A.Key\")= Device.A.Key ",
                "Set/Name/Some(\"Device.B\")=Device.B",
                "Set/Value/Some(\"Device.B\")=<s2>",
                "Set/Password/None=p",
                "Set/Empty/None=",
            ]
        );
        let wanted = BODY
            .replace("s<b>1</b>&lt;", "&lt;x&gt;")
            .replace("<![CDATA[<s2>]]>", "&lt;x&gt;")
            .replace(">p<i/><", ">&lt;x&gt;<");
        assert_eq!(after, wanted);
    }

    #[test]
    fn the_id_of_a_message_is_found_where_it_stands() {
        let (id, range) = message_id(BODY).unwrap();
        assert_eq!((id.as_str(), &BODY[range]), ("a&7", "a&amp;7"));
        assert_eq!(message_name(BODY).as_deref(), Some("Set"));
        for none in ["", "<html/>", "no markup", "<s:Envelope><s:Body/></s:Envelope>"] {
            assert_eq!(message_id(none), None, "{none}");
        }
    }
}
