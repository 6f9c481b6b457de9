//! All RPCs in one place: names, decoding by name, encoding, owning.

use crate::cwmp::soap::{Cursor, Message, Sink, SoapError};
use crate::identity::DeviceId;

use super::field::{Field, Text};
use super::*;

macro_rules! registry {
    ($($name:ident, $request:ty, $response:ty, $answer:ident;)*) => {
        /// A request of either side.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request<'a> {
            $($name($request),)*
            /// A method that is not of the standard; its arguments are not looked at.
            Unknown(Text<'a>),
        }

        /// The answer to a request.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Response<'a> {
            $($answer($response),)*
            Unknown(Text<'a>),
        }

        impl Request<'static> {
            /// The names of all methods known.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
        }

        impl<'a> Request<'a> {
            /// The method's name.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                    Self::Unknown(name) => name,
                }
            }

            /// The same without borrowing from the body it was decoded from.
            pub fn into_owned(self) -> Request<'static> {
                match self {
                    $(Self::$name(it) => Request::$name(Field::into_owned(it)),)*
                    Self::Unknown(name) => Request::Unknown(Field::into_owned(name)),
                }
            }

            pub(in crate::cwmp) fn encode(&self, sink: &mut Sink<'_>) {
                match self {
                    $(Self::$name(it) => it.encode(concat!("cwmp:", stringify!($name)), sink),)*
                    Self::Unknown(name) => sink.element(&format!("cwmp:{name}"), ""),
                }
            }
        }

        impl<'a> Response<'a> {
            /// The answer's name.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$answer(_) => stringify!($answer),)*
                    Self::Unknown(name) => name,
                }
            }

            /// The same without borrowing from the body it was decoded from.
            pub fn into_owned(self) -> Response<'static> {
                match self {
                    $(Self::$answer(it) => Response::$answer(Field::into_owned(it)),)*
                    Self::Unknown(name) => Response::Unknown(Field::into_owned(name)),
                }
            }

            pub(in crate::cwmp) fn encode(&self, sink: &mut Sink<'_>) {
                match self {
                    $(Self::$answer(it) => it.encode(concat!("cwmp:", stringify!($answer)), sink),)*
                    Self::Unknown(name) => sink.element(&format!("cwmp:{name}"), ""),
                }
            }
        }

        /// Decodes the message whose element was entered last. Other methods are told by their name alone.
        pub(in crate::cwmp) fn decode<'a>(
            name: &'a str,
            cursor: &mut Cursor<'a>,
        ) -> Result<Message<'a>, SoapError> {
            Ok(match name {
                $(stringify!($name) => Message::Request(Request::$name(Field::decode(cursor)?)),)*
                $(stringify!($answer) => Message::Response(Response::$answer(Field::decode(cursor)?)),)*
                other => {
                    cursor.skip()?;
                    if other.ends_with("Response") {
                        Message::Response(Response::Unknown(other.into()))
                    } else {
                        Message::Request(Request::Unknown(other.into()))
                    }
                }
            })
        }
    };
}

registry! {
    GetRPCMethods, GetRPCMethods, GetRPCMethodsResponse<'a>, GetRPCMethodsResponse;
    SetParameterValues, SetParameterValues<'a>, SetParameterValuesResponse, SetParameterValuesResponse;
    GetParameterValues, GetParameterValues<'a>, GetParameterValuesResponse<'a>, GetParameterValuesResponse;
    GetParameterNames, GetParameterNames<'a>, GetParameterNamesResponse<'a>, GetParameterNamesResponse;
    SetParameterAttributes,
        SetParameterAttributes<'a>,
        SetParameterAttributesResponse,
        SetParameterAttributesResponse;
    GetParameterAttributes,
        GetParameterAttributes<'a>,
        GetParameterAttributesResponse<'a>,
        GetParameterAttributesResponse;
    AddObject, AddObject<'a>, AddObjectResponse, AddObjectResponse;
    DeleteObject, DeleteObject<'a>, DeleteObjectResponse, DeleteObjectResponse;
    Reboot, Reboot<'a>, RebootResponse, RebootResponse;
    FactoryReset, FactoryReset, FactoryResetResponse, FactoryResetResponse;
    Download, Download<'a>, DownloadResponse<'a>, DownloadResponse;
    ScheduleDownload, ScheduleDownload<'a>, ScheduleDownloadResponse, ScheduleDownloadResponse;
    Upload, Upload<'a>, UploadResponse<'a>, UploadResponse;
    GetQueuedTransfers, GetQueuedTransfers, GetQueuedTransfersResponse<'a>, GetQueuedTransfersResponse;
    GetAllQueuedTransfers,
        GetAllQueuedTransfers,
        GetAllQueuedTransfersResponse<'a>,
        GetAllQueuedTransfersResponse;
    CancelTransfer, CancelTransfer<'a>, CancelTransferResponse, CancelTransferResponse;
    ChangeDUState, ChangeDUState<'a>, ChangeDUStateResponse, ChangeDUStateResponse;
    ScheduleInform, ScheduleInform<'a>, ScheduleInformResponse, ScheduleInformResponse;
    Inform, Inform<'a>, InformResponse, InformResponse;
    TransferComplete, TransferComplete<'a>, TransferCompleteResponse, TransferCompleteResponse;
    AutonomousTransferComplete,
        AutonomousTransferComplete<'a>,
        AutonomousTransferCompleteResponse,
        AutonomousTransferCompleteResponse;
    RequestDownload, RequestDownload<'a>, RequestDownloadResponse, RequestDownloadResponse;
    Kicked, Kicked<'a>, KickedResponse<'a>, KickedResponse;
    GetOptions, GetOptions<'a>, GetOptionsResponse<'a>, GetOptionsResponse;
    SetVouchers, SetVouchers<'a>, SetVouchersResponse, SetVouchersResponse;
    DUStateChangeComplete,
        DUStateChangeComplete<'a>,
        DUStateChangeCompleteResponse,
        DUStateChangeCompleteResponse;
    AutonomousDUStateChangeComplete,
        AutonomousDUStateChangeComplete<'a>,
        AutonomousDUStateChangeCompleteResponse,
        AutonomousDUStateChangeCompleteResponse;
}

/// Decodes the DeviceId element that was entered last.
pub(in crate::cwmp) fn decode_device_id(cursor: &mut Cursor<'_>) -> Result<DeviceId, SoapError> {
    Field::decode(cursor)
}
