//! What an ACS answers to the requests of a CPE (TR-069 A.3.3, A.4.2).

use crate::cwmp::rpc::{
    Array, AutonomousDUStateChangeCompleteResponse, AutonomousTransferCompleteResponse,
    DUStateChangeCompleteResponse, Fault, GetRPCMethodsResponse, InformResponse, KickedResponse, Request,
    RequestDownloadResponse, Response, TransferCompleteResponse,
};

/// The answer; methods that an ACS does not have are fault 8000.
pub(super) fn answer(request: &Request<'_>) -> Result<Response<'static>, Fault<'static>> {
    Ok(match request {
        Request::Inform(_) => Response::InformResponse(InformResponse { max_envelopes: 1 }),
        Request::TransferComplete(_) => Response::TransferCompleteResponse(TransferCompleteResponse {}),
        Request::AutonomousTransferComplete(_) => {
            Response::AutonomousTransferCompleteResponse(AutonomousTransferCompleteResponse {})
        }
        Request::RequestDownload(_) => Response::RequestDownloadResponse(RequestDownloadResponse {}),
        Request::Kicked(it) => {
            Response::KickedResponse(KickedResponse { next_url: it.next.clone().into_owned().into() })
        }
        Request::DUStateChangeComplete(_) => {
            Response::DUStateChangeCompleteResponse(DUStateChangeCompleteResponse {})
        }
        Request::AutonomousDUStateChangeComplete(_) => {
            Response::AutonomousDUStateChangeCompleteResponse(AutonomousDUStateChangeCompleteResponse {})
        }
        Request::GetRPCMethods(_) => {
            let method_list = Array(METHODS.into_iter().map(Into::into).collect());
            Response::GetRPCMethodsResponse(GetRPCMethodsResponse { method_list })
        }
        _ => return Err(Fault::of(8000)),
    })
}

const METHODS: [&str; 8] = [
    "Inform",
    "GetRPCMethods",
    "TransferComplete",
    "AutonomousTransferComplete",
    "RequestDownload",
    "Kicked",
    "DUStateChangeComplete",
    "AutonomousDUStateChangeComplete",
];
