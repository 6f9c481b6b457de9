//! Transports as plain types and sans-IO state: HTTP authentication, MQTT, WebSocket.
//!
//! Layer 1: framing, packet ids, resume and keep-alive without a socket, a clock or randomness.
