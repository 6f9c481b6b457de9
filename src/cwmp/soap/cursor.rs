//! A forward cursor over the elements of an envelope. The only place that sees XML events.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::attributes::{AttrError, Attributes};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceResolver, QName, ResolveResult};
use quick_xml::reader::Reader;

use super::{Limits, SoapError};

/// What an element has in it.
pub(super) enum Content<'a> {
    /// The local name of its first child.
    Child(&'a str),
    Text(Cow<'a, str>, Range<usize>),
}

/// Walks elements; each decode function consumes exactly the element it was called in.
///
/// Local names are what CWMP is read by, so namespaces are followed only as deep as one is ever asked for.
pub struct Cursor<'a> {
    reader: Reader<&'a [u8]>,
    text: &'a str,
    /// Where the reader began: it does not count byte order marks.
    begin: usize,
    limits: Limits,
    depth: usize,
    elements: usize,
    /// The element entered last: its name as written, and its `xsi:type`.
    name: &'a str,
    xsi_type: Option<Cow<'a, str>>,
    /// The declarations of the open elements down to [`NAMESPACES`].
    namespaces: NamespaceResolver,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, limits: &Limits) -> Self {
        let marked = text.trim_start_matches('\u{feff}');
        let mut reader = Reader::from_str(marked);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self {
            reader,
            text,
            begin: text.len() - marked.len(),
            limits: limits.clone(),
            depth: 0,
            elements: 0,
            name: "",
            xsi_type: None,
            namespaces: NamespaceResolver::default(),
        }
    }

    /// Up to where the text has been read: behind the element that was consumed last.
    pub(super) fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).map_or(usize::MAX, |read| self.begin + read)
    }

    /// Enters the next child element and returns its local name, or `None` at the end of this element.
    /// Text between elements is of no meaning in CWMP.
    pub fn enter(&mut self) -> Result<Option<&'a str>, SoapError> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    self.open(&start)?;
                    if self.depth > self.limits.depth {
                        return Err(SoapError::Depth(self.limits.depth));
                    }
                    return Ok(Some(local(self.name)));
                }
                Event::End(_) => {
                    self.close();
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

    /// Where the start tag of the element entered last stands. Only before anything more is read.
    pub(super) fn tag(&self) -> Range<usize> {
        let name = self.name.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        name.saturating_sub(1)..self.position()
    }

    /// The name, as written, of the element entered last.
    pub(super) fn name(&self) -> &'a str {
        self.name
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
                Event::GeneralRef(entity) => resolve(whole.to_mut(), &entity),
                Event::End(_) => {
                    self.close();
                    return Ok((whole, begin..end));
                }
                Event::Start(start) => {
                    // Markup inside a value: not text of ours, but no reason to lose the message either.
                    self.open(&start)?;
                    self.skip()?;
                }
                Event::Eof => return Err(SoapError::Xml("it ends too early".into())),
                _ => {}
            }
        }
    }

    /// What the element entered last has in it: a child, which is entered, or else its text, as [`Cursor::text`] gives
    /// it. Consumes the element where it is text.
    pub(super) fn content(&mut self) -> Result<Content<'a>, SoapError> {
        let begin = self.position();
        let mut whole: Cow<'a, str> = Cow::Borrowed("");
        loop {
            let end = self.position();
            match self.event()? {
                Event::Text(text) => append(&mut whole, text.into_inner()),
                Event::CData(data) => append(&mut whole, data.into_inner()),
                Event::GeneralRef(entity) => resolve(whole.to_mut(), &entity),
                Event::End(_) => {
                    self.close();
                    return Ok(Content::Text(whole, begin..end));
                }
                Event::Start(start) => {
                    self.open(&start)?;
                    if self.depth > self.limits.depth {
                        return Err(SoapError::Depth(self.limits.depth));
                    }
                    return Ok(Content::Child(local(self.name)));
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
        self.close();
        Ok(())
    }

    /// The `xsi:type`, by its local name, of the element entered last; as written, entities and all.
    pub fn xsi_type(&self) -> Option<Cow<'a, str>> {
        self.xsi_type.clone()
    }

    /// The namespace of the element entered last, if its prefix is declared. Below the message in the body
    /// there is none to be had.
    pub fn namespace(&self) -> Option<String> {
        match self.namespaces.resolve_element(QName(self.name)).0 {
            ResolveResult::Bound(namespace) if self.depth <= NAMESPACES => {
                Some(namespace.into_inner().to_owned())
            }
            _ => None,
        }
    }

    fn event(&mut self) -> Result<Event<'a>, SoapError> {
        let event = self.reader.read_event().map_err(|error| SoapError::Xml(error.to_string()))?;
        match &event {
            Event::DocType(_) => return Err(SoapError::DocType),
            Event::Start(start) => self.look_at(start)?,
            _ => {}
        }
        Ok(event)
    }

    /// Counts an element and reads its tag.
    fn look_at(&mut self, start: &BytesStart<'a>) -> Result<(), SoapError> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(SoapError::Elements(self.limits.elements));
        }
        // The tag as a slice of the text outlives the event.
        let at = start.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let tag = self.text.get(at..at.wrapping_add(start.len())).unwrap_or("");
        let name = start.name().into_inner().len();
        self.name = tag.get(..name).unwrap_or("");
        self.xsi_type = if tag.len() > name { read_attributes(tag, name)? } else { None };
        Ok(())
    }

    fn open(&mut self, start: &BytesStart<'a>) -> Result<(), SoapError> {
        self.depth += 1;
        if self.depth <= NAMESPACES {
            self.namespaces.push(start).map_err(|error| SoapError::Xml(error.to_string()))?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.depth <= NAMESPACES {
            self.namespaces.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }
}

fn local(name: &str) -> &str {
    let colon = name.bytes().rposition(|byte| byte == b':');
    colon.map_or(name, |at| &name[at + 1..])
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
fn resolve(into: &mut String, entity: &BytesRef<'_>) {
    if entity.is_char_ref() {
        // A reference to a character that XML forbids is dropped (quirk X27).
        return into.extend(entity.resolve_char_ref().ok().flatten());
    }
    let known = match &**entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        other => return into.extend(["&", other, ";"]),
    };
    into.push(known);
}

/// Judges the attributes of a tag, which follow its name, and returns its `xsi:type`. Two attributes of one
/// name would be read differently by the next parser (XML 1.0, 3.1).
fn read_attributes(tag: &str, name: usize) -> Result<Option<Cow<'_, str>>, SoapError> {
    let malformed = |error: AttrError| SoapError::Xml(error.to_string());
    let mut found = None;
    let mut count = 0;
    for attribute in Attributes::new(tag, name).with_checks(false) {
        let attribute = attribute.map_err(malformed)?;
        count += 1;
        if count > MAX_ATTRIBUTES {
            return Err(SoapError::Attributes(MAX_ATTRIBUTES));
        }
        if found.is_none() && local(attribute.key.into_inner()) == "type" {
            found = Some(attribute.value);
        }
    }
    // One alone has no double, and most tags have no more; comparing them takes memory of its own.
    if count > 1 {
        Attributes::new(tag, name).try_for_each(|attribute| attribute.map(drop).map_err(malformed))?;
    }
    Ok(found)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\0')
}

/// Attributes of one element, declarations of namespaces included.
const MAX_ATTRIBUTES: usize = 64;
/// Depth to which namespaces are followed: Envelope, Body and the message in it.
const NAMESPACES: usize = 3;
