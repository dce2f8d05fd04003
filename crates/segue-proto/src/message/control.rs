//! Bodies of the protocol control messages (RTMP 1.0, 5.4).
