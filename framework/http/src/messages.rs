//! The messages that a service knows by their descriptors: the module's and those of `potter.runtime.v1`.

use potter_core::module::Module;
use potter_core::store::CommandStatus;
use potter_proto::status::{StatusTeller, any};
use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage};
use serde_json::Value;

use crate::json::Written;

/// Descriptors, and what is told of commands.
#[derive(Debug)]
pub(crate) struct Messages {
    pool: DescriptorPool,
    teller: StatusTeller,
}

impl Messages {
    pub(crate) fn new(module: &Module, pool: &DescriptorPool) -> Result<Self, DescriptorError> {
        let mut pool = pool.clone();
        // Files that the module has already, such as any.proto, are passed over.
        pool.decode_file_descriptor_set(potter_proto::DESCRIPTORS)?;
        Ok(Self { pool, teller: StatusTeller::new(module) })
    }

    pub(crate) fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// A message beside its type, as an `Any` is written.
    pub(crate) fn any_json(&self, name: &str, payload: &[u8]) -> Value {
        self.json("google.protobuf.Any", &any(name, payload))
    }

    /// How far a command is.
    pub(crate) fn status_json(&self, status: &CommandStatus) -> Value {
        self.json("potter.runtime.v1.CommandStatus", &self.teller.tell(status))
    }

    /// The pool has both types, and what is decoded has just been encoded.
    fn json(&self, name: &str, message: &impl Message) -> Value {
        let bytes = message.encode_to_vec();
        let ty = self.pool.get_message_by_name(name);
        let dynamic = ty.and_then(|ty| DynamicMessage::decode(ty, bytes.as_slice()).ok());
        dynamic.and_then(|message| serde_json::to_value(Written::from(&message)).ok()).unwrap_or_default()
    }
}
