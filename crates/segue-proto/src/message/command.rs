//! Commands in AMF0: name, transaction id, command object, arguments (RTMP 1.0, 7.1.1).
