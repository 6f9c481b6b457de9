//! The RPCs of CWMP 1.0 to 1.4 (TR-069 Annex A), a file each.

mod add_object;
mod autonomous_du_state_change_complete;
mod autonomous_transfer_complete;
mod cancel_transfer;
mod change_du_state;
mod delete_object;
mod download;
mod du_state_change_complete;
mod factory_reset;
mod fault;
mod field;
mod get_all_queued_transfers;
mod get_options;
mod get_parameter_attributes;
mod get_parameter_names;
mod get_parameter_values;
mod get_queued_transfers;
mod get_rpc_methods;
mod inform;
mod kicked;
mod reboot;
mod registry;
mod request_download;
mod schedule_download;
mod schedule_inform;
mod set_parameter_attributes;
mod set_parameter_values;
mod set_vouchers;
mod transfer_complete;
mod upload;

pub use add_object::{AddObject, AddObjectResponse};
pub use autonomous_du_state_change_complete::{
    AutonOpResultStruct, AutonomousDUStateChangeComplete, AutonomousDUStateChangeCompleteResponse,
};
pub use autonomous_transfer_complete::{AutonomousTransferComplete, AutonomousTransferCompleteResponse};
pub use cancel_transfer::{CancelTransfer, CancelTransferResponse};
pub use change_du_state::{
    ChangeDUState, ChangeDUStateResponse, InstallOpStruct, OperationStruct, UninstallOpStruct, UpdateOpStruct,
};
pub use delete_object::{DeleteObject, DeleteObjectResponse};
pub use download::{Download, DownloadResponse};
pub use du_state_change_complete::{DUStateChangeComplete, DUStateChangeCompleteResponse, OpResultStruct};
pub use factory_reset::{FactoryReset, FactoryResetResponse};
pub use fault::{Fault, SetParameterValuesFault};
pub use field::{Array, ParameterValueStruct, Repeated, Text};
pub use get_all_queued_transfers::{
    AllQueuedTransferStruct, GetAllQueuedTransfers, GetAllQueuedTransfersResponse,
};
pub use get_options::{GetOptions, GetOptionsResponse, OptionStruct};
pub use get_parameter_attributes::{
    GetParameterAttributes, GetParameterAttributesResponse, ParameterAttributeStruct,
};
pub use get_parameter_names::{GetParameterNames, GetParameterNamesResponse, ParameterInfoStruct};
pub use get_parameter_values::{GetParameterValues, GetParameterValuesResponse};
pub use get_queued_transfers::{GetQueuedTransfers, GetQueuedTransfersResponse, QueuedTransferStruct};
pub use get_rpc_methods::{GetRPCMethods, GetRPCMethodsResponse};
pub use inform::{EventStruct, Inform, InformResponse};
pub use kicked::{Kicked, KickedResponse};
pub use reboot::{Reboot, RebootResponse};
pub use registry::{Request, Response};
pub(in crate::cwmp) use registry::{decode, decode_device_id};
pub use request_download::{ArgStruct, RequestDownload, RequestDownloadResponse};
pub use schedule_download::{ScheduleDownload, ScheduleDownloadResponse, TimeWindowStruct};
pub use schedule_inform::{ScheduleInform, ScheduleInformResponse};
pub use set_parameter_attributes::{
    SetParameterAttributes, SetParameterAttributesResponse, SetParameterAttributesStruct,
};
pub use set_parameter_values::{SetParameterValues, SetParameterValuesResponse};
pub use set_vouchers::{SetVouchers, SetVouchersResponse, Voucher};
pub use transfer_complete::{FaultStruct, TransferComplete, TransferCompleteResponse};
pub use upload::{Upload, UploadResponse};
