//! What travels in a line: calls from a client, the greeting and the answers of a server.
//!
//! JSON-RPC 2.0 without batches. Line shapes:
//!
//! | line | shape |
//! |---|---|
//! | call | `{"jsonrpc":"2.0","id":1,"method":"profile.get","params":{}}` |
//! | result | `{"jsonrpc":"2.0","id":1,"result":{"record":{…}}}` |
//! | error | `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"…","data":{"kind":"…"}}}` |
//! | change | `{"jsonrpc":"2.0","method":"profile.changed","params":{"key":"…","record":{…}}}` |
//! | hello | `{"jsonrpc":"2.0","method":"hello","params":{"protocol":1,"maxProtocol":2,"record":null,…}}` |

mod answer;
mod call;

pub use answer::{Refusal, Success, answer_line, bad_call_line, changed_line, hello_line};
pub use call::{BadCall, Call, CallError, Id, MAX_ID_BYTES, MAX_WATCHED, PROTOCOL, Request};
