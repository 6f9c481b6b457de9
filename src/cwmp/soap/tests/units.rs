//! ChangeDUState as ACSs write it: what an operation is, its `xsi:type` alone says.

use crate::cwmp::rpc::{
    ChangeDUState, InstallOpStruct, OperationStruct, Repeated, Request, UninstallOpStruct, UpdateOpStruct,
};
use crate::cwmp::soap::{Message, SoapError};

use super::rig::{refused, with, wrap};

fn asked(children: &str) -> ChangeDUState<'static> {
    let body = wrap(&format!("<cwmp:ChangeDUState>{children}</cwmp:ChangeDUState>"));
    with(&body, |envelope| match envelope.unwrap().message {
        Message::Request(request) => match request.into_owned() {
            Request::ChangeDUState(it) => it,
            other => panic!("no ChangeDUState but {other:?}"),
        },
        other => panic!("no ChangeDUState but {other:?}"),
    })
}

fn why_not(operation: &str) -> SoapError {
    refused(&wrap(&format!("<cwmp:ChangeDUState>{operation}</cwmp:ChangeDUState>")))
}

#[test]
fn operations_stay_in_order_and_what_is_missing_is_not_empty() {
    let asked = asked(
        "<Operations xsi:type=\"cwmp:InstallOpStruct\"><URL>http://a/?b&amp;c</URL><Username></Username>\
         </Operations><Operations xsi:type=\"cwmp:UninstallOpStruct\"><UUID> u </UUID><Vendor>1</Vendor>\
         </Operations><Operations xsi:type=\"cwmp:UpdateOpStruct\"><Version>2</Version></Operations>\
         <CommandKey>k</CommandKey>",
    );
    let operations = vec![
        OperationStruct::Install(InstallOpStruct {
            url: "http://a/?b&c".into(),
            username: Some("".into()),
            ..InstallOpStruct::default()
        }),
        OperationStruct::Uninstall(UninstallOpStruct { uuid: "u".into(), ..UninstallOpStruct::default() }),
        OperationStruct::Update(UpdateOpStruct { version: Some("2".into()), ..UpdateOpStruct::default() }),
    ];
    let expected = ChangeDUState { operations: Repeated(operations), command_key: Some("k".into()) };
    assert_eq!(asked, expected);
}

#[test]
fn x01_x06_the_prefixes_of_an_operation_s_type_are_not_judged() {
    for (attribute, declared) in [
        ("xsi:type='cwmp:UninstallOpStruct'", ""),
        ("i:type=\"UninstallOpStruct\"", ""),
        ("type=\"ns1:UninstallOpStruct\"", ""),
        ("xsi:type=\" tns:UninstallOpStruct \" tns:mustUnderstand=\"1\"", ""),
        ("p:type=\"q:UninstallOpStruct\"", " xmlns:q=\"urn:dslforum-org:cwmp-1-2\""),
    ] {
        let operations =
            asked(&format!("<Operations{declared} {attribute}><UUID>u</UUID></Operations>")).operations;
        let kind = operations.first().unwrap();
        assert!(matches!(kind, OperationStruct::Uninstall(it) if it.uuid == "u"), "{attribute}: {kind:?}");
    }
}

#[test]
fn an_operation_of_no_known_type_is_refused_by_name_rather_than_guessed_at() {
    let unknown = SoapError::Value("cwmp:RepairOpStruct".into(), "operation of ChangeDUState");
    assert_eq!(why_not("<Operations xsi:type=\"cwmp:RepairOpStruct\"/>"), unknown);
    assert_eq!(unknown.to_string(), "'cwmp:RepairOpStruct' is no operation of ChangeDUState");
    // Names of XML are told apart by case.
    assert!(matches!(why_not("<Operations xsi:type='cwmp:installopstruct'/>"), SoapError::Value(..)));
    assert!(matches!(why_not("<Operations xsi:type=''/>"), SoapError::Value(..)));
    assert_eq!(why_not("<Operations/>"), SoapError::Missing("Operations", "xsi:type"));
    let long = why_not(&format!("<Operations xsi:type='{}'/>", "x".repeat(500)));
    assert!(long.to_string().len() < 120, "{long}");
}
