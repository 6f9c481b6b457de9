//! How a field of an RPC stands on the wire. Every message is a list of fields in schema order, so a
//! message is declared once (`message!`) and decoded, encoded and owned from that.

use std::borrow::Cow;

use crate::cwmp::soap::{Cursor, Sink, SoapError};
use crate::datamodel::ValueType;
use crate::identity::DeviceId;

/// A text that borrows from the body it was decoded from.
pub type Text<'a> = Cow<'a, str>;

/// A value of a field.
pub(in crate::cwmp) trait Field<'a>: Sized {
    type Owned: 'static;
    /// Decodes the element that was entered last and consumes it.
    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError>;
    fn encode(&self, name: &str, sink: &mut Sink<'_>);
    fn into_owned(self) -> Self::Owned;
}

/// A value that is fields in schema order; what stands in the tags around them is another's business.
pub(in crate::cwmp) trait Structure {
    fn encode_fields(&self, sink: &mut Sink<'_>);
}

/// An item of a SOAP array: its element's name and its type in `arrayType`.
pub(in crate::cwmp) trait Item {
    const ELEMENT: &'static str;
    const TYPE: &'static str;
}

/// A SOAP array. Its `arrayType` is written from the items and never believed (quirk X15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<T>(pub Vec<T>);

/// An element that repeats without an array around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated<T>(pub Vec<T>);

impl<T> Default for Array<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Repeated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for Array<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> std::ops::Deref for Repeated<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<'a> Field<'a> for Text<'a> {
    type Owned = Text<'static>;

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        cursor.trimmed()
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        sink.element(name, self);
    }

    fn into_owned(self) -> Text<'static> {
        Cow::Owned(self.into_owned())
    }
}

impl Field<'_> for bool {
    type Owned = bool;

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, SoapError> {
        let text = cursor.trimmed()?;
        Ok(text == "1" || text.eq_ignore_ascii_case("true"))
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        sink.element(name, if *self { "1" } else { "0" });
    }

    fn into_owned(self) -> bool {
        self
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Field<'_> for $type {
            type Owned = $type;

            /// Leading zeros and a plus are met (quirk D02); what is no number at all counts as zero,
            /// since no count of a CPE decides anything.
            fn decode(cursor: &mut Cursor<'_>) -> Result<Self, SoapError> {
                Ok(cursor.trimmed()?.trim_start_matches('+').parse().unwrap_or_default())
            }

            fn encode(&self, name: &str, sink: &mut Sink<'_>) {
                sink.element(name, &self.to_string());
            }

            fn into_owned(self) -> $type {
                self
            }
        }
    )*};
}
number!(u32, i32);

impl Item for Text<'_> {
    const ELEMENT: &'static str = "string";
    const TYPE: &'static str = "xsd:string";
}

impl<'a, T: Field<'a> + Item> Field<'a> for Array<T>
where
    T::Owned: Sized,
{
    type Owned = Array<T::Owned>;

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        let mut items = Vec::new();
        cursor.children(|_, cursor| {
            items.push(T::decode(cursor)?);
            Ok(())
        })?;
        Ok(Self(items))
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        sink.raw(&format!("<{name} SOAP-ENC:arrayType=\"{}[{}]\">", T::TYPE, self.0.len()));
        for item in &self.0 {
            item.encode(T::ELEMENT, sink);
        }
        sink.raw(&format!("</{name}>"));
    }

    fn into_owned(self) -> Array<T::Owned> {
        Array(self.0.into_iter().map(Field::into_owned).collect())
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    type Owned = Option<T::Owned>;

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        T::decode(cursor).map(Some)
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        if let Some(value) = self {
            value.encode(name, sink);
        }
    }

    fn into_owned(self) -> Option<T::Owned> {
        self.map(Field::into_owned)
    }
}

impl<'a, T: Field<'a>> Field<'a> for Repeated<T> {
    type Owned = Repeated<T::Owned>;

    /// One element of many; `message!` adds it to those before.
    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        Ok(Self(vec![T::decode(cursor)?]))
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        for item in &self.0 {
            item.encode(name, sink);
        }
    }

    fn into_owned(self) -> Repeated<T::Owned> {
        Repeated(self.0.into_iter().map(Field::into_owned).collect())
    }
}

/// Puts a decoded field where the message keeps it: the first or last one wins, repeated ones gather.
pub(in crate::cwmp) trait Keep {
    fn keep(&mut self, next: Self);
}

impl<T> Keep for Repeated<T> {
    fn keep(&mut self, next: Self) {
        self.0.extend(next.0);
    }
}

macro_rules! keep_last {
    ($($type:ty),*) => {$(impl Keep for $type { fn keep(&mut self, next: Self) { *self = next; } })*};
}
keep_last!(Text<'_>, bool, u32, i32, DeviceId);

impl<T> Keep for Array<T> {
    fn keep(&mut self, next: Self) {
        *self = next;
    }
}

impl<T> Keep for Option<T> {
    fn keep(&mut self, next: Self) {
        *self = next;
    }
}

impl Field<'_> for DeviceId {
    type Owned = DeviceId;

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, SoapError> {
        let mut device = DeviceId::default();
        cursor.children(|name, cursor| {
            let slot = match name {
                "Manufacturer" => &mut device.manufacturer,
                "OUI" => &mut device.oui,
                "ProductClass" => &mut device.product_class,
                "SerialNumber" => &mut device.serial_number,
                _ => return cursor.skip(),
            };
            *slot = cursor.trimmed()?.into_owned();
            Ok(())
        })?;
        Ok(device)
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        sink.raw(&format!("<{name}>"));
        sink.element("Manufacturer", &self.manufacturer);
        sink.element("OUI", &self.oui);
        sink.element("ProductClass", &self.product_class);
        sink.element("SerialNumber", &self.serial_number);
        sink.raw(&format!("</{name}>"));
    }

    fn into_owned(self) -> DeviceId {
        self
    }
}

/// A parameter's name, value and type. The value is kept as it is, blanks and line breaks included
/// (quirk X18).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterValueStruct<'a> {
    pub name: Text<'a>,
    pub value: Text<'a>,
    /// From `xsi:type`; `None` where it is missing or unknown (quirks X21, X22).
    pub value_type: Option<ValueType>,
    /// Where the value's text stands in the envelope; empty in what was not decoded.
    pub value_span: std::ops::Range<usize>,
}

impl<'a> ParameterValueStruct<'a> {
    pub fn new(name: impl Into<Text<'a>>, value: impl Into<Text<'a>>, value_type: ValueType) -> Self {
        Self { name: name.into(), value: value.into(), value_type: Some(value_type), value_span: 0..0 }
    }
}

impl Item for ParameterValueStruct<'_> {
    const ELEMENT: &'static str = "ParameterValueStruct";
    const TYPE: &'static str = "cwmp:ParameterValueStruct";
}

impl<'a> Field<'a> for ParameterValueStruct<'a> {
    type Owned = ParameterValueStruct<'static>;

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        let mut parameter = Self::default();
        cursor.children(|name, cursor| {
            match name {
                "Name" => parameter.name = cursor.trimmed()?,
                "Value" => {
                    parameter.value_type = cursor.xsi_type().and_then(|xsd| ValueType::from_xsd(&xsd));
                    (parameter.value, parameter.value_span) = cursor.text()?;
                }
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        Ok(parameter)
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        sink.raw(&format!("<{name}>"));
        sink.element("Name", &self.name);
        let xsd = self.value_type.unwrap_or(ValueType::String).xsd();
        sink.raw(&format!("<Value xsi:type=\"{xsd}\">"));
        sink.escaped(&self.value);
        sink.raw(&format!("</Value></{name}>"));
    }

    fn into_owned(self) -> ParameterValueStruct<'static> {
        ParameterValueStruct {
            name: Field::into_owned(self.name),
            value: Field::into_owned(self.value),
            value_type: self.value_type,
            value_span: self.value_span,
        }
    }
}

/// Declares a structure by its fields in schema order.
macro_rules! structure {
    ($(#[$doc:meta])* $name:ident<'a> { $($field:ident: $type:ty => $element:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name<'a> { $(pub $field: $type),+ }

        impl<'a> $crate::cwmp::rpc::field::Field<'a> for $name<'a> {
            type Owned = $name<'static>;

            fn decode(
                cursor: &mut $crate::cwmp::soap::Cursor<'a>,
            ) -> Result<Self, $crate::cwmp::soap::SoapError> {
                let mut it = Self::default();
                cursor.children(|name, cursor| match name {
                    $($element => {
                        let next = <$type as $crate::cwmp::rpc::field::Field<'a>>::decode(cursor)?;
                        $crate::cwmp::rpc::field::Keep::keep(&mut it.$field, next);
                        Ok(())
                    })+
                    _ => cursor.skip(),
                })?;
                Ok(it)
            }

            fn encode(&self, name: &str, sink: &mut $crate::cwmp::soap::Sink<'_>) {
                sink.raw(&format!("<{name}>"));
                $crate::cwmp::rpc::field::Structure::encode_fields(self, sink);
                sink.raw(&format!("</{name}>"));
            }

            fn into_owned(self) -> $name<'static> {
                $name { $($field: $crate::cwmp::rpc::field::Field::into_owned(self.$field)),+ }
            }
        }

        impl $crate::cwmp::rpc::field::Structure for $name<'_> {
            fn encode_fields(&self, sink: &mut $crate::cwmp::soap::Sink<'_>) {
                $($crate::cwmp::rpc::field::Field::encode(&self.$field, $element, sink);)+
            }
        }

        impl $crate::cwmp::rpc::field::Keep for $name<'_> {
            fn keep(&mut self, next: Self) { *self = next; }
        }
    };
    ($(#[$doc:meta])* $name:ident {}) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name {}

        impl<'a> $crate::cwmp::rpc::field::Field<'a> for $name {
            type Owned = $name;

            fn decode(
                cursor: &mut $crate::cwmp::soap::Cursor<'a>,
            ) -> Result<Self, $crate::cwmp::soap::SoapError> {
                cursor.skip()?;
                Ok(Self {})
            }

            fn encode(&self, name: &str, sink: &mut $crate::cwmp::soap::Sink<'_>) {
                sink.raw(&format!("<{name}></{name}>"));
            }

            fn into_owned(self) -> $name {
                self
            }
        }
    };
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty => $element:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name { $(pub $field: $type),+ }

        impl<'a> $crate::cwmp::rpc::field::Field<'a> for $name {
            type Owned = $name;

            fn decode(
                cursor: &mut $crate::cwmp::soap::Cursor<'a>,
            ) -> Result<Self, $crate::cwmp::soap::SoapError> {

                let mut it = Self::default();
                cursor.children(|name, cursor| match name {
                    $($element => {
                        let next = <$type as $crate::cwmp::rpc::field::Field<'a>>::decode(cursor)?;
                        $crate::cwmp::rpc::field::Keep::keep(&mut it.$field, next);
                        Ok(())
                    })+
                    _ => cursor.skip(),
                })?;
                Ok(it)
            }

            fn encode(&self, name: &str, sink: &mut $crate::cwmp::soap::Sink<'_>) {
                sink.raw(&format!("<{name}>"));
                $crate::cwmp::rpc::field::Structure::encode_fields(self, sink);
                sink.raw(&format!("</{name}>"));
            }

            fn into_owned(self) -> $name {
                self
            }
        }

        impl $crate::cwmp::rpc::field::Structure for $name {
            fn encode_fields(&self, sink: &mut $crate::cwmp::soap::Sink<'_>) {
                $($crate::cwmp::rpc::field::Field::encode(&self.$field, $element, sink);)+
            }
        }

        impl $crate::cwmp::rpc::field::Keep for $name {
            fn keep(&mut self, next: Self) { *self = next; }
        }
    };
}
pub(super) use structure;

/// Names a structure as an item of SOAP arrays.
macro_rules! item {
    ($name:ident) => {
        impl $crate::cwmp::rpc::field::Item for $name<'_> {
            const ELEMENT: &'static str = stringify!($name);
            const TYPE: &'static str = concat!("cwmp:", stringify!($name));
        }
    };
}
pub(super) use item;
