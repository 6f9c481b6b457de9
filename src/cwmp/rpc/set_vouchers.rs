//! SetVouchers (TR-069 A.4.1.3, deprecated).

use crate::cwmp::soap::{Cursor, Sink, SoapError};

use super::field::{Array, Field, Item, Text, structure};

/// A signed voucher in base64.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Voucher<'a>(pub Text<'a>);

impl<'a> Field<'a> for Voucher<'a> {
    type Owned = Voucher<'static>;

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        cursor.trimmed().map(Self)
    }

    fn encode(&self, name: &str, sink: &mut Sink<'_>) {
        sink.element(name, &self.0);
    }

    fn into_owned(self) -> Voucher<'static> {
        Voucher(Field::into_owned(self.0))
    }
}

impl Item for Voucher<'_> {
    const ELEMENT: &'static str = "base64";
    const TYPE: &'static str = "SOAP-ENC:base64";
}

structure! {
    /// Vouchers in base64.
    SetVouchers<'a> { voucher_list: Array<Voucher<'a>> => "VoucherList" }
}
structure! {
    /// Taken.
    SetVouchersResponse {}
}
