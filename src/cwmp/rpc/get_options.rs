//! GetOptions (TR-069 A.4.1.4, deprecated).

use super::field::{Array, Text, item, structure};

structure! {
    /// Empty for all.
    GetOptions<'a> { option_name: Text<'a> => "OptionName" }
}
structure! {
    /// One option of the CPE.
    OptionStruct<'a> {
        option_name: Text<'a> => "OptionName",
        voucher_sn: u32 => "VoucherSN",
        state: u32 => "State",
        mode: i32 => "Mode",
        start_date: Text<'a> => "StartDate",
        expiration_date: Option<Text<'a>> => "ExpirationDate",
        is_transferable: i32 => "IsTransferable",
    }
}
item!(OptionStruct);
structure! {
    /// The options.
    GetOptionsResponse<'a> { option_list: Array<OptionStruct<'a>> => "OptionList" }
}
