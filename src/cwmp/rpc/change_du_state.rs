//! ChangeDUState: installs, updates and uninstalls deployment units. The only RPC whose parts are chosen by
//! their `xsi:type`.

use crate::cwmp::soap::{Cursor, Sink, SoapError};

use super::field::{Field, Repeated, Structure, Text, structure};

structure! {
    /// Installs what is at a URL; without a UUID the device gives it one.
    InstallOpStruct<'a> {
        url: Text<'a> => "URL",
        uuid: Option<Text<'a>> => "UUID",
        username: Option<Text<'a>> => "Username",
        password: Option<Text<'a>> => "Password",
        execution_env_ref: Option<Text<'a>> => "ExecutionEnvRef",
    }
}
structure! {
    /// Updates one unit, or, without UUID and URL, all of them.
    UpdateOpStruct<'a> {
        uuid: Option<Text<'a>> => "UUID",
        version: Option<Text<'a>> => "Version",
        url: Option<Text<'a>> => "URL",
        username: Option<Text<'a>> => "Username",
        password: Option<Text<'a>> => "Password",
    }
}
structure! {
    /// Uninstalls a version of a unit, or, without one, all of them.
    UninstallOpStruct<'a> {
        uuid: Text<'a> => "UUID",
        version: Option<Text<'a>> => "Version",
        execution_env_ref: Option<Text<'a>> => "ExecutionEnvRef",
    }
}
structure! {
    /// Carried out in this order; DUStateChangeComplete has their results in the same.
    ChangeDUState<'a> {
        operations: Repeated<OperationStruct<'a>> => "Operations",
        command_key: Option<Text<'a>> => "CommandKey",
    }
}
structure! {
    /// DUStateChangeComplete follows.
    ChangeDUStateResponse {}
}

macro_rules! operations {
    ($($kind:ident($of:ident)),*) => {
        /// One operation of a ChangeDUState.
        #[derive(Debug, Clone, PartialEq)]
        pub enum OperationStruct<'a> {
            $($kind($of<'a>)),*
        }

        impl<'a> Field<'a> for OperationStruct<'a> {
            type Owned = OperationStruct<'static>;

            /// The type is told by its name alone, whatever prefix stands before it and whether that is
            /// declared: senders write `cwmp:`, a prefix of their own, or none (quirks X01, X06).
            fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
                let given = cursor.xsi_type().ok_or(SoapError::Missing("Operations", "xsi:type"))?;
                match given.rsplit(':').next().unwrap_or_default().trim() {
                    $(stringify!($of) => Field::decode(cursor).map(Self::$kind),)*
                    _ => Err(SoapError::Value(given.chars().take(MAX_QUOTED).collect(), "operation of ChangeDUState")),
                }
            }

            fn encode(&self, name: &str, sink: &mut Sink<'_>) {
                match self {
                    $(Self::$kind(it) => {
                        sink.raw(&format!("<{name} xsi:type=\"cwmp:{}\">", stringify!($of)));
                        it.encode_fields(sink);
                    })*
                }
                sink.raw(&format!("</{name}>"));
            }

            fn into_owned(self) -> OperationStruct<'static> {
                match self {
                    $(Self::$kind(it) => OperationStruct::$kind(Field::into_owned(it)),)*
                }
            }
        }
    };
}
operations!(Install(InstallOpStruct), Update(UpdateOpStruct), Uninstall(UninstallOpStruct));

/// Characters of an unknown type that an error repeats.
const MAX_QUOTED: usize = 64;
