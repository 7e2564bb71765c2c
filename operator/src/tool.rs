//! The tool `chatroom`: what can be done with a ChatRoom without a cluster.
