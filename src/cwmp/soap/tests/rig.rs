//! Bodies, and what the decoder makes of them.

use crate::cwmp::rpc::{GetParameterValuesResponse, ParameterValueStruct, Reboot, Request, Response};
use crate::cwmp::soap::{Envelope, Limits, Message, SoapError, decode, decode_charset};

/// An envelope of CWMP 1.2 with ID 7.
pub fn wrap(body: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"><soap:Header><cwmp:ID>7</cwmp:ID></soap:Header>\
         <soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

/// What the decoder makes of a body in UTF-8.
pub fn with<T>(body: &str, then: impl FnOnce(Result<Envelope<'_>, SoapError>) -> T) -> T {
    let text = decode_charset(body.as_bytes(), None).unwrap();
    then(decode(&text, &Limits::default()))
}

/// Why a body is refused.
pub fn refused(body: &str) -> SoapError {
    with(body, |result| result.expect_err("it was taken"))
}

/// The CommandKey of a Reboot in a whole body, after the charset of that Content-Type.
pub fn key_of_body(body: &[u8], content_type: Option<&str>) -> Result<String, SoapError> {
    let text = decode_charset(body, content_type)?;
    match decode(&text, &Limits::default())?.message {
        Message::Request(Request::Reboot(Reboot { command_key })) => Ok(command_key.into_owned()),
        other => panic!("no Reboot but {other:?}"),
    }
}

/// A Reboot with this markup for its CommandKey.
pub fn reboot(key: &str) -> String {
    wrap(&format!("<cwmp:Reboot><CommandKey>{key}</CommandKey></cwmp:Reboot>"))
}

/// What is read from this markup in a CommandKey.
pub fn key(markup: &str) -> String {
    key_of_body(reboot(markup).as_bytes(), None).unwrap()
}

/// The parameters read from the markup of a ParameterList.
pub fn values(list: &str) -> Vec<ParameterValueStruct<'static>> {
    let body = wrap(&format!("<cwmp:GetParameterValuesResponse>{list}</cwmp:GetParameterValuesResponse>"));
    with(&body, |envelope| match envelope.unwrap().message {
        Message::Response(response) => match response.into_owned() {
            Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list }) => {
                parameter_list.0
            }
            other => panic!("no values but {other:?}"),
        },
        other => panic!("no values but {other:?}"),
    })
}

/// The value read from a Value element.
pub fn value(element: &str) -> ParameterValueStruct<'static> {
    let list = format!(
        "<ParameterList><ParameterValueStruct><Name>Device.A</Name>{element}</ParameterValueStruct>\
         </ParameterList>"
    );
    values(&list).remove(0)
}
