//! Edits to an Inform and to answers of CPEs: what is taken out of them, put in, or said otherwise, as splices
//! that leave all around them as it was.
//!
//! This reads a body once more, and only where something in it must change.

use std::borrow::Cow;
use std::ops::Range;

use crate::cwmp::rpc::{EventStruct, ParameterValueStruct};

use super::cursor::Cursor;
use super::encode::escape;
use super::splice::Edit;
use super::{Limits, SoapError};

/// What becomes of an Inform.
pub struct Reshape<'r> {
    /// Whether an event is taken out.
    pub drop_event: &'r dyn Fn(&Item<'_>) -> bool,
    pub add_events: &'r [EventStruct<'r>],
    /// Whether a parameter is taken out, by its name.
    pub drop_parameter: &'r dyn Fn(&str) -> bool,
    pub add_parameters: &'r [ParameterValueStruct<'r>],
}

/// One item of an array that is looked at: the texts of its children, but for `Value`.
#[derive(Debug, Default)]
pub struct Item<'i>(Vec<(&'i str, Cow<'i, str>)>);

impl Item<'_> {
    /// The text of a child, by its local name; empty where there is none.
    pub fn text(&self, child: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == child).map_or("", |(_, text)| text)
    }
}

/// The edits to an Inform, in order. An array that is not there gets nothing.
///
/// # Errors
/// If the text is no envelope within the limits.
pub fn reshape_inform(text: &str, limits: &Limits, reshape: &Reshape<'_>) -> Result<Vec<Edit>, SoapError> {
    let mut edits = Vec::new();
    in_message(text, limits, |name, cursor| match name {
        "Event" => {
            let mut array = Array::open(cursor);
            array.items(cursor, reshape.drop_event)?;
            let added: Vec<String> = reshape.add_events.iter().map(|event| array.event(event)).collect();
            array.close(text, &added, &mut edits);
            Ok(())
        }
        "ParameterList" => {
            let mut array = Array::open(cursor);
            array.items(cursor, &|item| (reshape.drop_parameter)(item.text("Name")))?;
            let added: Vec<String> =
                reshape.add_parameters.iter().map(|it| array.parameter(text, it)).collect();
            array.close(text, &added, &mut edits);
            Ok(())
        }
        _ => cursor.skip(),
    })?;
    edits.sort_by_key(|edit| edit.range.start);
    Ok(edits)
}

/// The edits that take items out of an array of a message: those of which `drop` is true.
///
/// # Errors
/// If the text is no envelope within the limits.
pub fn drop_items(
    text: &str,
    limits: &Limits,
    array: &str,
    drop: &dyn Fn(&Item<'_>) -> bool,
) -> Result<Vec<Edit>, SoapError> {
    let mut edits = Vec::new();
    in_message(text, limits, |name, cursor| {
        if name != array {
            return cursor.skip();
        }
        let mut array = Array::open(cursor);
        array.items(cursor, drop)?;
        array.close(text, &[], &mut edits);
        Ok(())
    })?;
    Ok(edits)
}

/// The edits to a GetParameterAttributesResponse: `say` is asked with each parameter's name and Notification, and
/// gives what is to stand there instead.
///
/// # Errors
/// If the text is no envelope within the limits.
pub fn restate_attributes(
    text: &str,
    limits: &Limits,
    say: &dyn Fn(&str, i32) -> Option<u8>,
) -> Result<Vec<Edit>, SoapError> {
    let mut edits = Vec::new();
    in_message(text, limits, |name, cursor| match name {
        "ParameterList" => cursor.children(|_, cursor| {
            let (mut about, mut said) = (String::new(), None);
            cursor.children(|name, cursor| {
                match name {
                    "Name" => about = cursor.trimmed()?.into_owned(),
                    "Notification" => said = Some(cursor.text()?),
                    _ => cursor.skip()?,
                }
                Ok(())
            })?;
            let Some((value, range)) = said else { return Ok(()) };
            let instead = value.trim().parse().ok().and_then(|value| say(&about, value));
            edits.extend(instead.map(|value| Edit { range, text: value.to_string() }));
            Ok(())
        }),
        _ => cursor.skip(),
    })?;
    Ok(edits)
}

/// Calls `each` for the children of the message in the body.
fn in_message<'a>(
    text: &'a str,
    limits: &Limits,
    mut each: impl FnMut(&'a str, &mut Cursor<'a>) -> Result<(), SoapError>,
) -> Result<(), SoapError> {
    let mut cursor = Cursor::new(text.trim_end_matches(['\0', ' ', '\t', '\r', '\n']), limits);
    cursor.enter()?;
    cursor.children(|name, cursor| match name {
        "Body" => cursor.children(|_, cursor| cursor.children(&mut each)),
        _ => cursor.skip(),
    })
}

/// A SOAP array that is being edited.
struct Array<'a> {
    /// The array's start tag.
    tag: Range<usize>,
    name: &'a str,
    /// Where the last item ends, or the start tag if there is none.
    end: usize,
    /// The items' element, as written.
    item: Option<&'a str>,
    /// Start tags of values.
    values: Vec<Range<usize>>,
    count: usize,
    dropped: Vec<Range<usize>>,
}

impl<'a> Array<'a> {
    /// The array whose element was entered last.
    fn open(cursor: &Cursor<'a>) -> Self {
        let tag = cursor.tag();
        let (end, name) = (tag.end, cursor.name());
        Self { tag, name, end, item: None, values: Vec::new(), count: 0, dropped: Vec::new() }
    }

    /// Reads the items, and asks of each whether it is to be taken out.
    fn items(
        &mut self,
        cursor: &mut Cursor<'a>,
        dropped: &dyn Fn(&Item<'_>) -> bool,
    ) -> Result<(), SoapError> {
        cursor.children(|_, cursor| {
            let begin = cursor.tag().start;
            self.item = Some(cursor.name());
            let mut item = Item::default();
            cursor.children(|name, cursor| {
                if name == "Value" {
                    self.values.push(cursor.tag());
                    return cursor.skip();
                }
                item.0.push((name, cursor.trimmed()?));
                Ok(())
            })?;
            self.end = cursor.position();
            match dropped(&item) {
                true => self.dropped.push(begin..self.end),
                false => self.count += 1,
            }
            Ok(())
        })
    }

    fn event(&self, event: &EventStruct<'_>) -> String {
        let item = self.item.unwrap_or("EventStruct");
        let (code, key) = (escape(&event.event_code), escape(&event.command_key));
        format!("<{item}><EventCode>{code}</EventCode><CommandKey>{key}</CommandKey></{item}>")
    }

    fn parameter(&self, text: &str, parameter: &ParameterValueStruct<'_>) -> String {
        let item = self.item.unwrap_or("ParameterValueStruct");
        let xsd = parameter.value_type.map_or("xsd:string", |known| known.xsd());
        let local = xsd.rsplit(':').next().unwrap_or(xsd);
        // The words of a neighbour of the same type, else such that declare their prefixes themselves.
        let typed = format!(":{local}\"");
        let known = self.values.iter().filter_map(|tag| text.get(tag.clone()));
        let known = known.filter(|tag| !tag.ends_with("/>")).find(|tag| tag.contains(&typed));
        let own = format!(
            "<Value xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xsi:type=\"{xsd}\">"
        );
        let tag = known.map_or(own, str::to_owned);
        let element =
            tag.trim_start_matches('<').split([' ', '\t', '\r', '\n', '>']).next().unwrap_or("Value");
        let (name, value) = (escape(&parameter.name), escape(&parameter.value));
        format!("<{item}><Name>{name}</Name>{tag}{value}</{element}></{item}>")
    }

    fn close(self, text: &str, added: &[String], edits: &mut Vec<Edit>) {
        if self.dropped.is_empty() && added.is_empty() {
            return;
        }
        let tag = text.get(self.tag.clone()).unwrap_or("");
        let count = (self.count + added.len()).to_string();
        let number = number_of(tag);
        if let Some(bare) = tag.strip_suffix("/>") {
            let bare = match number {
                Some(number) => format!("{}{count}{}", &bare[..number.start], &bare[number.end..]),
                None => bare.to_owned(),
            };
            let whole = format!("{bare}>{}</{}>", added.concat(), self.name);
            return edits.push(Edit { range: self.tag, text: whole });
        }
        if let Some(number) = number {
            let range = self.tag.start + number.start..self.tag.start + number.end;
            edits.push(Edit { range, text: count });
        }
        edits.extend(self.dropped.into_iter().map(|range| Edit { range, text: String::new() }));
        if !added.is_empty() {
            edits.push(Edit { range: self.end..self.end, text: added.concat() });
        }
    }
}

/// Where in its start tag an array's length stands.
fn number_of(tag: &str) -> Option<Range<usize>> {
    let at = tag.find("arrayType")?;
    let open = at + tag.get(at..)?.find('[')? + 1;
    let close = open + tag.get(open..)?.find(']')?;
    Some(open..close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::{Message, decode, decode_charset, splice};
    use crate::datamodel::ValueType;

    const NONE: &dyn Fn(&str) -> bool = &|_| false;
    const NO_EVENT: &dyn Fn(&Item<'_>) -> bool = &|_| false;

    fn envelope(body: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:e=\"http://schemas.xmlsoap.org/soap/encoding/\" \
             xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:x=\"http://www.w3.org/2001/XMLSchema\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\">\n\
             <s:Header><c:ID s:mustUnderstand=\"1\">7</c:ID></s:Header>\n<s:Body>{body}</s:Body></s:Envelope>\r\n"
        )
    }

    fn inform(events: &str, parameters: &str) -> String {
        envelope(&format!(
            "<c:Inform>\n <DeviceId><OUI>001122</OUI></DeviceId>\n {events}\n <MaxEnvelopes>1</MaxEnvelopes>\n \
             {parameters}\n</c:Inform>"
        ))
    }

    fn event(code: &str) -> String {
        format!("<EventStruct><EventCode>{code}</EventCode><CommandKey/></EventStruct>")
    }

    fn parameter(name: &str) -> String {
        format!(
            "\n  <ParameterValueStruct><Name>{name}</Name><Value i:type=\"x:string\">1</Value></ParameterValueStruct>"
        )
    }

    fn reshaped(text: &str, reshape: &Reshape<'_>) -> String {
        let edits = reshape_inform(text, &Limits::default(), reshape).unwrap();
        String::from_utf8(splice(text.as_bytes(), &edits)).unwrap()
    }

    #[test]
    fn what_is_taken_out_leaves_everything_else_byte_for_byte() {
        let events = |inner: &str, n| format!("<Event e:arrayType=\"c:EventStruct[{n}]\">{inner}</Event>");
        let list = |inner: &str, n| {
            format!("<ParameterList e:arrayType=\"c:ParameterValueStruct[{n}]\">{inner}\n </ParameterList>")
        };
        let before = inform(
            &events(&(event("2 PERIODIC") + &event("4 VALUE CHANGE")), "2"),
            &list(&(parameter("Device.A") + &parameter("Device.B") + &parameter("Device.C")), "0003"),
        );
        let after = reshaped(
            &before,
            &Reshape {
                drop_event: &|event| event.text("EventCode") == "4 VALUE CHANGE",
                add_events: &[],
                drop_parameter: &|name| name == "Device.B",
                add_parameters: &[],
            },
        );
        let wanted = inform(
            &events(&event("2 PERIODIC"), "1"),
            &list(&(parameter("Device.A") + "\n  " + &parameter("Device.C")), "2"),
        );
        assert_eq!(after, wanted);
        let nothing =
            Reshape { drop_event: NO_EVENT, add_events: &[], drop_parameter: NONE, add_parameters: &[] };
        assert_eq!(reshaped(&before, &nothing), before);
    }

    #[test]
    fn items_are_taken_out_by_any_of_their_children() {
        let events =
            |inner: &str, n: u8| format!("<Event e:arrayType=\"c:EventStruct[{n}]\">{inner}</Event>");
        let ours =
            "<EventStruct><EventCode>M Download</EventCode><CommandKey>k&amp;1 </CommandKey></EventStruct>";
        let before = inform(&events(&(event("1 BOOT") + ours + &event("7 TRANSFER COMPLETE")), 3), "");
        let drop =
            |event: &Item<'_>| event.text("CommandKey") == "k&1" || event.text("EventCode").starts_with("7 ");
        let dropped = |array: &str| {
            let edits = drop_items(&before, &Limits::default(), array, &drop).unwrap();
            String::from_utf8(splice(before.as_bytes(), &edits)).unwrap()
        };
        assert_eq!(dropped("Event"), inform(&events(&event("1 BOOT"), 1), ""));
        assert_eq!(dropped("TransferList"), before);
    }

    #[test]
    fn what_is_put_in_is_read_as_if_the_cpe_had_said_it() {
        let added = [
            ParameterValueStruct::new("Device.S", "a & <b>", ValueType::String),
            ParameterValueStruct::new("Device.N", "5", ValueType::UnsignedInt),
        ];
        let told = [EventStruct { event_code: "4 VALUE CHANGE".into(), command_key: "".into() }];
        let reshape =
            Reshape { drop_event: NO_EVENT, add_events: &told, drop_parameter: NONE, add_parameters: &added };
        let shapes = [
            ("<Event e:arrayType=\"c:EventStruct[0]\"/>", "<ParameterList e:arrayType=\"c:X[0]\" />", 1, 2),
            ("<c:Event></c:Event>", "<ParameterList></ParameterList>", 1, 2),
            ("<Event><EventStruct><EventCode>1 BOOT</EventCode></EventStruct></Event>", "", 2, 0),
        ];
        for (events, parameters, codes, names) in shapes {
            let parameters = if names > 0 {
                parameters.to_owned()
            } else {
                format!("<ParameterList>{}</ParameterList>", parameter("Device.A"))
            };
            let after = reshaped(&inform(events, &parameters), &reshape);
            let text = decode_charset(after.as_bytes(), None).unwrap();
            let envelope = decode(&text, &Limits::default()).unwrap();
            let Message::Request(Request::Inform(inform)) = &envelope.message else { panic!("{after}") };
            assert_eq!(inform.event.len(), codes, "{after}");
            let last: Vec<_> = inform.parameter_list.iter().rev().take(2).collect();
            assert_eq!(
                (&*last[1].name, &*last[1].value, last[1].value_type),
                ("Device.S", "a & <b>", Some(ValueType::String))
            );
            assert_eq!(
                (&*last[0].name, &*last[0].value, last[0].value_type),
                ("Device.N", "5", Some(ValueType::UnsignedInt))
            );
        }
    }

    #[test]
    fn the_acs_reads_the_attributes_that_it_set() {
        let item = |name: &str, value: &str| {
            let inner = format!("<Name>{name}</Name><Notification>{value}</Notification><AccessList/>");
            format!("<ParameterAttributeStruct>{inner}</ParameterAttributeStruct>")
        };
        let of = |b: &str| {
            let list = item("Device.A", " 1 ") + &item("Device.B", b);
            let list = format!("<ParameterList>{list}</ParameterList>");
            envelope(&format!("<c:GetParameterAttributesResponse>{list}</c:GetParameterAttributesResponse>"))
        };
        let before = of("2");
        let say = |name: &str, value: i32| (name == "Device.B" && value == 2).then_some(0);
        let edits = restate_attributes(&before, &Limits::default(), &say).unwrap();
        let after = splice(before.as_bytes(), &edits);
        assert_eq!(String::from_utf8(after.clone()).unwrap(), of("0"));
        let text = decode_charset(&after, None).unwrap();
        let envelope = decode(&text, &Limits::default()).unwrap();
        assert!(matches!(&envelope.message, Message::Response(Response::GetParameterAttributesResponse(_))));
    }
}
