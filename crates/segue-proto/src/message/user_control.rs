//! Bodies of user control messages (RTMP 1.0, 6.2 and 7.1.7).
