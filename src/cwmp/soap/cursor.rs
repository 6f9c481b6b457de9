//! A forward cursor over the elements of an envelope. The only place that sees XML events.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::NsReader;

use super::{Limits, SoapError};

/// Walks elements; each decode function consumes exactly the element it was called in.
pub struct Cursor<'a> {
    reader: NsReader<&'a [u8]>,
    text: &'a str,
    limits: Limits,
    depth: usize,
    elements: usize,
    /// Attributes of the element that was entered last.
    start: Option<BytesStart<'a>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, limits: &Limits) -> Self {
        let mut reader = NsReader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self { reader, text, limits: limits.clone(), depth: 0, elements: 0, start: None }
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    /// Enters the next child element and returns its local name, or `None` at the end of this element.
    /// Text between elements is of no meaning in CWMP.
    pub fn enter(&mut self) -> Result<Option<&'a str>, SoapError> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > self.limits.depth {
                        return Err(SoapError::Depth(self.limits.depth));
                    }
                    let local = self.local_name(&start);
                    self.start = Some(start);
                    return Ok(Some(local));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(None);
                }
                Event::Eof if self.depth > 0 => return Err(SoapError::Xml("it ends too early".into())),
                Event::Eof => return Ok(None),
                Event::Text(text) if self.depth == 0 && !is_blank(&text) => return Err(SoapError::Trailing),
                Event::CData(_) | Event::GeneralRef(_) if self.depth == 0 => return Err(SoapError::Trailing),
                _ => {}
            }
        }
    }

    /// Calls `each` for every child; `each` must consume the child by a decode, [`Cursor::text`] or
    /// [`Cursor::skip`].
    pub fn children(
        &mut self,
        mut each: impl FnMut(&'a str, &mut Self) -> Result<(), SoapError>,
    ) -> Result<(), SoapError> {
        while let Some(name) = self.enter()? {
            each(name, self)?;
        }
        Ok(())
    }

    /// The text of the element entered, entities resolved, with the span it came from. Consumes the element.
    pub fn text(&mut self) -> Result<(Cow<'a, str>, Range<usize>), SoapError> {
        let begin = self.position();
        let mut whole: Cow<'a, str> = Cow::Borrowed("");
        loop {
            let end = self.position();
            match self.event()? {
                Event::Text(text) => append(&mut whole, text.into_inner()),
                Event::CData(data) => append(&mut whole, data.into_inner()),
                Event::GeneralRef(entity) => {
                    append(&mut whole, Cow::Owned(resolve(&entity)));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok((whole, begin..end));
                }
                Event::Start(_) => {
                    // Markup inside a value: not text of ours, but no reason to lose the message either.
                    self.depth += 1;
                    self.skip()?;
                }
                Event::Eof => return Err(SoapError::Xml("it ends too early".into())),
                _ => {}
            }
        }
    }

    /// [`Cursor::text`] without the blanks around it: for names, numbers, codes and identity (quirk X17).
    pub fn trimmed(&mut self) -> Result<Cow<'a, str>, SoapError> {
        Ok(match self.text()?.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        })
    }

    /// Leaves the element entered last without looking at it.
    pub fn skip(&mut self) -> Result<(), SoapError> {
        let mut open = 1_usize;
        while open > 0 {
            match self.event()? {
                Event::Start(_) => open += 1,
                Event::End(_) => open -= 1,
                Event::Eof => return Err(SoapError::Xml("it ends too early".into())),
                _ => {}
            }
            if self.depth + open > self.limits.depth {
                return Err(SoapError::Depth(self.limits.depth));
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    /// The value of an attribute, by local name, of the element entered last.
    pub fn attribute(&self, local: &str) -> Option<String> {
        let start = self.start.as_ref()?;
        let mut attributes = start.attributes();
        let found = attributes.with_checks(false).flatten();
        let mut named = found.filter(|attribute| attribute.key.local_name().into_inner() == local);
        named.next().map(|attribute| attribute.value.into_owned())
    }

    /// The namespace of the element entered last, if its prefix is declared.
    pub fn namespace(&self) -> Option<String> {
        let start = self.start.as_ref()?;
        match self.reader.resolver().resolve_element(start.name()).0 {
            quick_xml::name::ResolveResult::Bound(namespace) => Some(namespace.into_inner().to_owned()),
            _ => None,
        }
    }

    fn event(&mut self) -> Result<Event<'a>, SoapError> {
        match self.reader.read_event().map_err(|error| SoapError::Xml(error.to_string()))? {
            Event::DocType(_) => Err(SoapError::DocType),
            Event::Start(start) => {
                self.elements += 1;
                if self.elements > self.limits.elements {
                    return Err(SoapError::Elements(self.limits.elements));
                }
                check_attributes(&start)?;
                Ok(Event::Start(start))
            }
            event => Ok(event),
        }
    }

    /// The local name as a slice of the text, so that it outlives the event.
    fn local_name(&self, start: &BytesStart<'a>) -> &'a str {
        let name = start.name().into_inner();
        let open = self.text[..self.position()].rfind('<').map_or(0, |at| at + 1);
        let whole = self.text.get(open..open + name.len()).filter(|slice| *slice == name).unwrap_or("");
        whole.rsplit_once(':').map_or(whole, |(_, local)| local)
    }
}

fn append<'a>(whole: &mut Cow<'a, str>, part: Cow<'a, str>) {
    if whole.is_empty() {
        *whole = part;
    } else {
        whole.to_mut().push_str(&part);
    }
}

/// XML's own five entities and character references. Nothing else is ever expanded: without a document type
/// there are no others, and CPEs that write `AT&T;` mean it (quirk X28).
fn resolve(entity: &quick_xml::events::BytesRef<'_>) -> String {
    if entity.is_char_ref() {
        // A reference to a character that XML forbids is dropped (quirk X27).
        return entity.resolve_char_ref().ok().flatten().map(String::from).unwrap_or_default();
    }
    match &**entity {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        other => format!("&{other};"),
    }
}

/// Two attributes of one name would be read differently by the next parser (XML 1.0, 3.1).
fn check_attributes(start: &BytesStart<'_>) -> Result<(), SoapError> {
    for (number, attribute) in start.attributes().enumerate() {
        if number == MAX_ATTRIBUTES {
            return Err(SoapError::Attributes(MAX_ATTRIBUTES));
        }
        attribute.map_err(|error| SoapError::Xml(error.to_string()))?;
    }
    Ok(())
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\0')
}

/// Attributes of one element, declarations of namespaces included.
const MAX_ATTRIBUTES: usize = 64;
