//! CWMP fault codes (TR-069 A.5) and their names.

/// The name of a fault code as the standard has it; vendor codes and unknown ones by their range.
pub fn name(code: u32) -> &'static str {
    match code {
        8000 | 9000 => "Method not supported",
        8001 | 9001 => "Request denied (no reason specified)",
        8002 | 9002 => "Internal error",
        8003 | 9003 => "Invalid arguments",
        8004 | 9004 => "Resources exceeded",
        8005 => "Retry request",
        8006 => "ACS version incompatible with CPE",
        9005 => "Invalid parameter name",
        9006 => "Invalid parameter type",
        9007 => "Invalid parameter value",
        9008 => "Attempt to set a non-writable parameter",
        9009 => "Notification request rejected",
        9010 => "File transfer failure",
        9011 => "Upload failure",
        9012 => "File transfer server authentication failure",
        9013 => "Unsupported protocol for file transfer",
        9014 => "File transfer failure: unable to join multicast group",
        9015 => "File transfer failure: unable to contact file server",
        9016 => "File transfer failure: unable to access file",
        9017 => "File transfer failure: unable to complete download",
        9018 => "File transfer failure: file corrupted",
        9019 => "File transfer failure: file authentication failure",
        9020 => "File transfer failure: unable to complete download within specified time windows",
        9021 => "Cancelation of file transfer not permitted in current transfer state",
        9022 => "Invalid UUID Format",
        9023 => "Unknown Execution Environment",
        9024 => "Disabled Execution Environment",
        9025 => "Deployment Unit to Execution Environment Mismatch",
        9026 => "Duplicate Deployment Unit",
        9027 => "System Resources Exceeded",
        9028 => "Unknown Deployment Unit",
        9029 => "Invalid Deployment Unit State",
        9030 => "Invalid Deployment Unit Update - Downgrade not permitted",
        9031 => "Invalid Deployment Unit Update - Version not specified",
        9032 => "Invalid Deployment Unit Update - Version already exists",
        8800..=8899 | 9800..=9899 => "Vendor defined",
        _ => "Unknown fault",
    }
}

/// Whether the SOAP `faultcode` of a CWMP fault is `Client`: the sender of the RPC is to blame (A.5).
pub fn is_client(code: u32) -> bool {
    matches!(code, 8003 | 9003 | 9005..=9008 | 9021)
}
